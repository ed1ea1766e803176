/**
 * Letters to a shop and the answers a clerk gives: what is wrong, and what is done about it. The clerk never says which
 * queue a letter belongs to, and the letters share no phrase with the tickets.
 */

import { between, chance, type Grammar, pick, shuffled } from '../grammar.js';
import type { Random } from '../random.js';

interface Topic {
  readonly letters: readonly string[];
  readonly answers: readonly string[];
}

const topics: readonly Topic[] = [
  {
    letters: [
      '{amount} (have|has) gone from my (card|bank|credit card) and I (do not see|wonder) why.',
      '(I looked at|On) my bank (page|paper|statement) (and|) there (is|stands) your (shop|name) (twice|two times|with {amount}).',
      'The (sum|total|price) on the (bill|receipt) is (too high|not right|{amount} too much).',
      'My (tax|office|book) people (ask me|wait) for the (bill|receipt|paper) of my (last|) (payment|purchase).',
      'I (already|) (paid|transferred) the {amount}, (so|but) (why does|) another (reminder|letter|bill) (comes|came).',
      'The (voucher|coupon|gift card) (did not|does not) (count|lower the sum) when I paid.',
      '(Your|The) (payment|pay) page (does not take|refuses) my (new|) (card|bank card).',
      'I (pay|have been paying) for the {plan} (each month|since {month}) though I (stopped|ended|cancelled) it.',
      '(Could|May) I pay the {amount} (later|in {few} steps|from another bank|in cash)?',
      'The (tax|VAT) in my (bill|document) should be (lower|zero|the one of {country}).',
      'Who (debited|booked|took) {amount} from me {when}?',
      '(Our|My) bookkeeping (has|shows) a (debit|fee|charge) that no one (understands|can explain).',
    ],
    answers: [
      '(We|I) (check|will check) the (payment|charge) with (the bank|your bank).',
      'The {amount} will be (back on|sent back to) your (card|bank) (in {few} days|soon).',
      '(Here is|I send you) the (bill|invoice|receipt) (again|as a paper).',
      'We have (corrected|cleared) the (sum|amount|bill).',
      'Your card (will not be|is not) charged again.',
    ],
  },
  {
    letters: [
      'My {product} (is on the way|was sent) since {weekday} and I (still|) (see|have) nothing.',
      '(The van|The driver|{carrier}) (went past|did not ring|never rang) at my (house|door|flat) {when}.',
      '(When|On what day) (can I expect|will you send|do you post) (my|the) (box|parcel|{product})?',
      'The (number|code) you gave me to (follow|track) the (box|parcel) (shows|says) (nothing|only {city}).',
      '(Please|) bring the (box|parcel|order) to (my work|the neighbour|{city}) (and not|instead of) to (my flat|{city}).',
      'My (street|house number|postcode) (was wrong|has changed|is missing) on the (parcel|order|box).',
      'They say it was (handed over|put at the door|left outside) but I (looked everywhere|found no box).',
      'One of the {few} (boxes|things|items) (did not|never) (come|reach me|turn up).',
      'My (box|parcel) (lies|waits) at the border (of|to) {country} and (they want|someone wants) (papers|duty|a form).',
      '(It takes too long|The wait is too long), the {product} (must|should) (be here|come) (by|before) {weekday}.',
      '(Do you|Can you) (send|post|ship) (things|boxes|a {product}) to {country}, and how long (is it on the way|would it take)?',
      'The (mail man|courier|post) (lost|dropped|mixed up) my (box|parcel) (in|near) {city}.',
    ],
    answers: [
      '(We|I) (ask|will ask) {carrier} where the (box|parcel) is.',
      'Your (box|parcel) (left the warehouse|is on its way to {city}) (and comes on {weekday}|).',
      'The (address|street) on the (label|box) is (changed|right) now.',
      'The (driver|courier) will (try|ring|come) again on {weekday}.',
      'The (second|missing) (box|part) will (follow|be sent) (soon|today).',
    ],
  },
  {
    letters: [
      'The {clothing} (pinches|hangs down|is wide) (at the arms|at the neck|everywhere), I (need|should have) a (smaller|larger|longer) one.',
      'I (unpacked|opened) the (box|parcel) and the {product} had a (broken|torn|loose) (part|side|corner).',
      '(It is|That is) not what I (wanted|chose|picked), I (asked for|chose) a {colour} one.',
      'I (do not want to|will not) keep the {product}, (what now|so take it again).',
      'I (posted|mailed) the {product} to you {days} ago and the (refund|money) (is not there|has not shown up).',
      'Please (trade|change|swap) the {product} (for|against) (one that works|a whole one|another colour).',
      '(My {family}|{person}) gave me {an product} (I do not need|that is too small), (can it go back|may I change it).',
      'After {days} the {household} (came apart|lost a leg|got a crack), (there was|is there not) a warranty.',
      '(May|Can) a thing (go back|be sent back) without (its box|the wrapping|the paper)?',
      'The (slip|label|form) for (sending|posting) it back (got lost|is not in the box).',
      'Both {clothing} are (left ones|of different size|stained), I (send|am sending) them back.',
      'The (cloth|leather|wood|glass) of the {product} (is|feels) (cheap|thin|bad), so I (give it back|want to undo the purchase).',
    ],
    answers: [
      '(We|I) (send|will send) you a (label|slip) to send the {product} back.',
      'You (get|will get) (a new one|another size|your money back) (when the box is here|soon).',
      'Please (put|pack) the {product} (into its box|up well) and (take|bring) it to the post.',
      'We (swap|exchange|replace) the {product} (for a {colour} one|for free).',
      'You have {few} weeks to (give it back|send it back).',
    ],
  },
  {
    letters: [
      'The {device} (stays|is) (dark|dead|silent|cold) when I (plug it in|press the button|start it).',
      '(A red|The) (light|lamp|sign) on the {device} (blinks|flashes) and (nothing works|it does nothing).',
      'After the (new version|last update) (my|the) (program|app|screen) (is|stays) (white|frozen|black).',
      'The {device} does not (find|see|know) my (phone|wifi|network|computer).',
      'I (tried|want) to (install|load|run) (the driver|the program|it) on {system}, (it stops|it fails|no luck).',
      '(The|My) (files|photos|songs|settings) (are gone|do not load|cannot be saved) in (the program|the app).',
      'A (window|box|note) with (an error|a number|E{digit}{digit}) (pops up|comes) when I (click|type|start).',
      'There is (no sound|no picture|only noise) (from|in) the {device}.',
      'How (must|should) I (plug|set|link|wire) the {device} (with|and) {system}?',
      '(The page|The menu|The search) (jumps|hangs|stays empty) (in|with) {browser}.',
      'The {device} (gets hot|goes off|loses power) after {few} minutes.',
      '(The cable|The button|The screen|The chip) of the {device} (makes trouble|has no effect|is not detected).',
    ],
    answers: [
      'Please (restart|reset|unplug) the {device} and try again.',
      '(Hold|Press) the (button|key) for {digit} seconds until the light (blinks|goes out).',
      '(Install|Load) the (newest|latest) (version|driver|firmware) on {system}.',
      'The error is (known|fixed) (in|with) the next (update|version).',
      'Move the {device} (closer to|near) the router and (pair|connect) it again.',
    ],
  },
  {
    letters: [
      'I do not (know|recall) (the|my) (secret|login) word (any longer|) and (stand|am) outside.',
      '(It|The page) (will not|does not) let me in (with|under) my (user name|email|mail address).',
      'After {few} wrong (tries|words) I am (blocked|locked out|thrown out).',
      'My (mail|phone|last name) is (a new one|different now), (write it down|please note it) (for my user|in your files|).',
      'I (wish|want) that you (forget|erase|wipe) (me|my data|my user|what you know about me).',
      'The (code|digits|number) to (sign in|get in|prove who I am) (is not sent|comes too late|is refused).',
      '(Somebody|A stranger|Some thief) (signs in|was) under my name (from {country}|in {city}|).',
      '(Nobody|No one) but me should (know|use) my login, (but|and yet) (a stranger|someone) did.',
      'I (have joined|signed up) twice, (make|please make) one (user|member) of the two.',
      '(Put|Add) (my {family}|{person}) (to the members|as a second user).',
      'I (never|did not) (get|see) the mail (that confirms|to confirm) (my sign-up|that I am a new member).',
      '(Send|I want) no more (newsletters|mails with news).',
    ],
    answers: [
      '(We|I) (send|have sent) you a link to choose a new password.',
      'Your (login|user name) is (open|unlocked) again.',
      'Your (new|) (email|name|phone number) is (noted|changed) (now|).',
      'All (that we knew|data) about you (is|will be) (deleted|erased).',
      'Please change the password at once and (turn on|use) the (code|second step).',
    ],
  },
  {
    letters: [
      '(What|How much) (do you want|would I pay) for {few} of the {product}?',
      '(I am|We are) (choosing|looking) (between|at) the {device} and the {device}, (which one is better|what would you take).',
      '(Is there|Do you plan) a (sale|cheaper week|special price) (for|on) the {product} (in {month}|)?',
      'We need (about |){digit}0 {product} for (our|the) (school|team|hotel|club), (make us a price|what can you offer).',
      '(Will|When will) the {colour} {product} (be there|come in) again, (I would take one|I want one)?',
      'How (big|wide|heavy|strong|warm) is the {product} (that you show|in your window)?',
      'I (have|want) (a present|something nice) for {person}, (perhaps|maybe) {an product}, (any idea|what fits)?',
      'What (would|does) the {plan} (give me|bring), and (for how many people|for how many devices)?',
      'Our (store|hotel|firm) in {city} would (carry|sell|stock) your things, (who decides that|let us talk).',
      '(Can I|May I) (look at|try on|see) the {product} (somewhere|in {city}) before I (pay|decide)?',
      '(I thought of|We consider) (changing to|taking) the {plan}, (is it worth it|what is better in it).',
      '(Elsewhere|In {city}|At another store) the {product} is {amount} (cheaper|less), can you (do that|go down) too?',
    ],
    answers: [
      'The {product} (costs|is) {amount} (now|today|with the discount).',
      'For {digit}0 pieces (we|I) can offer you {digit} percent (off|less).',
      'I would (take|recommend) the {product}, it is (lighter|cheaper|stronger).',
      'The {product} (is in stock|comes in again in {month}) (in {colour}|).',
      'The {plan} (includes|covers) {few} (people|devices) for {amount}.',
    ],
  },
];

const openings = [
  '(Hello|Hi|Dear team|Good morning),',
  '(My name is|I am) {name#n} {surname}.',
  'I {bought} {an product} {when}.',
  'It is about order {order}.',
];
const extras = [
  '(I wait for|I hope for) (an answer|news).',
  '(It makes me|I am) {feeling}.',
  'I (like|know) your shop since {month}.',
  '(Many thanks|Thanks), {name#n}',
];

export function letter(grammar: Grammar, random: Random): readonly [letter: string, answer: string] {
  const topic = pick(topics, random);
  const parts = shuffled(topic.letters, random).slice(0, between(1, 2, random));
  if (chance(0.4, random)) parts.unshift(pick(openings, random));
  if (chance(0.3, random)) parts.push(pick(extras, random));
  const bindings = new Map<string, string>();
  const thanks = chance(0.4, random)
    ? '(Thank you for your (message|mail|letter)|Hello|Sorry for the trouble|Thanks for writing). '
    : '';
  const answers = shuffled(topic.answers, random).slice(0, chance(0.2, random) ? 2 : 1);
  return [
    grammar.expand(parts.join(' '), random, bindings),
    grammar.expand(thanks + answers.join(' '), random, bindings),
  ];
}
