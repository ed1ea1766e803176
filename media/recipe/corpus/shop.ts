/**
 * How people write about shops: one topic a paragraph, so that words of one topic are met together. No paragraph says
 * which queue or team a matter belongs to; that is left to fine-tuning.
 */

import { between, type Grammar, pick, shuffled } from '../grammar.js';
import type { Random } from '../random.js';

const topics: readonly (readonly string[])[] = [
  [
    'An invoice is a (paper|bill|document) that says what has to be paid (and when|).',
    'A receipt shows that (the money was|something was) paid.',
    '(The bank|My bank|Her bank) (took|debited|booked|transferred) {amount} (from|out of) the (account of the bank|card) {when}.',
    '(A card|The credit card|His debit card) can be (declined|refused|charged|expired|replaced).',
    'Who pays (too much|double|the same bill twice) wants the (money|amount|payment) back.',
    'The (tax|VAT|sales tax) in {country} is (higher|lower) than in {country}.',
    'A (statement|bank statement|bill) lists all (payments|charges|debits|fees) of {month}.',
    '{name} paid {amount} (by card|by bank transfer|in cash|with a gift card|in instalments) {when}.',
    'A (reminder|late fee) comes when (a bill|an invoice) is (unpaid|open|forgotten).',
    'The (monthly|yearly) (bill|payment|charge|fee) for the {plan} is {amount}.',
    'A subscription is (renewed|extended|paid|billed) (each month|every year|automatically), until (it is cancelled|someone stops it).',
    'An accountant (checks|corrects|needs) (invoices|receipts|the bookkeeping|each amount|tax papers).',
    'The (amount|price|total) on the bill was {amount} and not {amount}, so {name} asked why.',
  ],
  [
    'A parcel is (packed|sent|shipped) from the warehouse (and brought by {carrier}|to {city}).',
    '(The courier|The driver|The post) (brings|delivers|leaves|drops) the (package|parcel|box) (at the door|on the porch|with a neighbour|at the house).',
    'The tracking number (tells|shows) where a (package|parcel|box) is (now|on its way).',
    'The (parcel|package|delivery) to {city} was {days} late (because of the snow|because of a wrong address|).',
    '{name} waited {days} for the (parcel|package|box), (then it came|but nothing arrived|and it was lost on the way).',
    'Customs (officers|people) at the border (open|check|hold|scan) (parcels|boxes) and (ask for papers|take duty).',
    'The (address|street|house number|postcode) on the label was (wrong|old|wet), so the (package|box) went to {city}.',
    'Express delivery (arrives|comes) (the next day|in a day|fast) and costs {amount} more.',
    'The (box|parcel) came in {few} parts, and one was (missing|empty|lost|late).',
    'A pickup point is a place where (people|neighbours) (collect|pick up) their (parcels|packages).',
    'Nobody was (home|at the door), so the (driver|courier) (left a note|came again on {weekday}|took the box to the depot).',
    'The (mailbox|doorstep|porch|hallway) was empty, the package had not (come|reached {name}).',
    'A ship with {digit}00 boxes (left|reached) the harbour of {city} {when}.',
  ],
  [
    'Who does not (like|want|need) a thing can (return|send back|exchange) it (within {days}|).',
    'The {clothing} was too (small|big|tight|long), so {name} (exchanged|swapped|returned) it for (a larger one|a {size}|another size).',
    'The {product} (arrived|was) (broken|damaged|scratched|torn|cracked), so {name} got a (replacement|new one|refund).',
    'A refund is the money that (comes back|you get back) after a (return|thing was sent back).',
    '{name} (put|packed) the {product} back into its (box|wrapping), (stuck on the return label|and took it to the post).',
    'A warranty means that a (broken|faulty) thing is (replaced|repaired) (for free|for two years).',
    'In the box was the wrong (colour|size|model), (a {colour} one instead of a {colour} one|so it went back).',
    'The {household} had a (dent|crack|hole|fault|stain), and {name} did not keep it.',
    'Gifts can be (exchanged|swapped|traded|returned) (with the receipt|for something else|if they do not fit).',
    'The {product} looked different from the picture, so {name} (was disappointed and|) sent it back.',
    'Opened (items|boxes) can (be returned|go back) (too|if nothing is broken).',
    'The {clothing} did not fit, (the arms were too short|the feet hurt|the shoulders were tight).',
  ],
  [
    'When {an device} (freezes|does not start|shows an error|hangs), it helps to (restart|reset|unplug) it.',
    'The (app|program|software) (crashed|closed|stopped|froze) after the (update|new version) on {system}.',
    'The {device} (connects|pairs|links) to the (wifi|network|phone) by (bluetooth|a cable|a code).',
    'An error (code|message|number) on the (screen|page) says what (is|went) wrong with the {device}.',
    'The (driver|firmware|setup) of the {device} has to be (installed|updated|loaded) first.',
    '{name} (pressed|held) the (power button|key) of the {device} until the (light|screen) (blinked|went on|turned red).',
    'The (battery|screen|cable|sound|picture|speaker) of the {device} was (weak|black|bad|gone).',
    '{browser} (loads|shows|opens) the page (slowly|white|without pictures), the (menu|button|search) does not react (to a click|).',
    'The (signal|connection|wifi) (drops|breaks|is lost) when the {device} is far (from the router|away).',
    'The (files|photos|data) are (saved|synced|loaded|stored) between {system} and the {device}.',
    'The manual (explains|tells) how to (set up|install|configure|reset|use) the {device}.',
    'A program (hangs|is stuck) at {digit}0 percent, so {name} (starts|tries) the (setup|wizard|installation) again.',
    'After a factory reset the {device} (works|runs|starts) (again|like new).',
  ],
  [
    'A password is a secret (word|code) that lets (people|a user|its owner) (log in|sign in).',
    '{name} (forgot|lost|changed|typed) the password (again|{few} times) and (could not log in|was locked out|asked for a new one).',
    'A (profile|user account|login) holds a name, an email (address|) and a (phone number|birthday).',
    'After {few} wrong (tries|attempts) the login is (locked|blocked|closed|suspended).',
    'A (code|six digits code|security code) is sent (by text|to the phone) to (check|verify|confirm) who signs in.',
    '{name} got married and has a new (name|surname), so the (profile|records) must be (changed|updated|corrected).',
    'A (stranger|thief|hacker) (got into|signed in to|used) the (profile|login) of {name} from {country}.',
    'Privacy means that (personal data|what is stored about people) can be (deleted|erased|wiped|seen|removed) (when they ask|).',
    'To (register|sign up|become a member|join) one needs (an email address|a user name|a new password).',
    'The user name was (taken|unknown|known already|wrong), so {name} (chose|tried) another.',
    'The (newsletter|mailing list) goes to (all members|every user), until they (unsubscribe|leave).',
    'The owner can (add|invite|remove) (users|members|a team member) (and merge profiles|).',
    'The (mail|link|email) to (reset|choose) a password (is valid for a day|never came|has expired).',
  ],
  [
    'Before people (buy|decide|order), they ask (what it costs|for the price|for an offer|which one is best).',
    'A (quote|price list|offer) (says|tells) what {digit}0 pieces (cost|come to).',
    'Large (orders|companies|schools) get a (discount|better price|special offer).',
    'The {product} is (sold out|in stock|available in {colour}|on sale|cheaper now).',
    '{name} (recommends|suggests|likes) the {colour} {product} (as a present|for beginners|for travel).',
    'The {plan} (includes|covers|has|offers) {few} (users|devices|people) and (costs|is) {amount}.',
    'A shop in {city} wants to (become a partner|resell {clothing}|stock {household}s|sell more).',
    'Which is better, the {product} or the {product}? (It depends on the price|The first is lighter|The second is cheaper).',
    'A coupon (gives|is) {digit}0 percent (off|less) for (new customers|students|members).',
    'The showroom in {city} lets people (see|try|touch) the {product} before they buy (it|one).',
    '{name} is (interested in|looking for|thinking about) {an product} (for a birthday|as a gift|for the office).',
    'People (upgrade|switch) to the {plan} (when they are more|for the extras|in {month}).',
    'The {clothing} is made of (wool|leather|cotton|silk), is (waterproof|soft|warm) and comes in {colour}.',
  ],
];

/** A paragraph on one topic. */
export function shopTalk(grammar: Grammar, random: Random): string {
  const sentences = shuffled(pick(topics, random), random).slice(0, between(3, 6, random));
  return grammar.expand(sentences.join(' '), random);
}
