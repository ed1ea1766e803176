import type { Intent } from './types.js';

export const billing: readonly Intent[] = [
  {
    phrases: [
      '(I was|I have been|we were) charged (twice|two times|double) for (my {product}|order {order}|the same order).',
      'My (bank|card) statement (shows|lists) (two|{few}) (payments|charges) of {amount} (for one order|from you), (why|please explain).',
      'You (took|withdrew) {amount} (twice|two times) from my (card|bank account) {when}.',
      '(There is|I see) a (duplicate|second|double) (charge|payment) for order {order} on my (card|statement).',
      'The (payment|money) for (one|a single) {product} (left|was taken from) my bank (two times|twice) {when}.',
    ],
  },
  {
    phrases: [
      '(I need|please send me|could I have|where can I find) (an|the) invoice for (order {order}|my {product}|the {month} payment).',
      'My (company|accountant|tax office) (needs|asks for) (an invoice|a receipt|a bill with VAT) for order {order}.',
      'The invoice for {month} (shows|has) (the wrong|an old) company name (and VAT number|), (please correct it|can you fix that).',
      'I (cannot find|never got|am missing) the (receipt|invoice) for (a payment of {amount}|my last payment|order {order}).',
      'For (my|our) bookkeeping I (lack|miss) the (paper|document) that shows what I paid (for order {order}|in {month}).',
    ],
  },
  {
    phrases: [
      'My (card|credit card|debit card) (was|is|keeps being) (declined|refused|rejected) (when I pay|at the payment step|every time).',
      'The payment (by card|by bank transfer|with my gift card) (fails|did not go through|was refused) but the money (is gone|was taken).',
      '(I paid|I have paid) order {order} {when} and (it still says unpaid|you still send payment reminders).',
      'I got a (payment reminder|second reminder|late fee) for (a bill|an invoice) that I (paid|have paid) {when}.',
      'According to my bank the transfer of {amount} reached you {when}, yet (the order is marked as open|a reminder came).',
    ],
  },
  {
    phrases: [
      'The (amount|price) on my (bill|invoice|statement) is {amount}, but (the page said|I agreed to|I expected) {amount}.',
      'You (billed|charged) me {amount} (instead of|and not) {amount} for the {product}.',
      'The (discount|coupon|voucher|promo code) was (not|never) (taken off|subtracted from|applied to) (my bill|the final amount|the invoice).',
      '(Why is|how come) my (monthly|{month}) bill (is|) {amount} (higher|more) than (last month|before|usual)?',
      'I (count|find) {amount} too much on (what you debited|the statement) for order {order}.',
    ],
  },
  {
    phrases: [
      'You (renewed|charged me for) the {plan} (although|even though|after) I (cancelled|stopped) it {when}.',
      'My subscription was (renewed|extended) (without asking|automatically) and {amount} was (charged|taken), I want (it|the money) back.',
      'I was (billed|charged) for (a trial|the free trial|the {plan}) that (I never wanted|should be free).',
      '(Please stop|stop) (the monthly charges|charging my card|the automatic payments) for the {plan}.',
      'Each month {amount} (leaves|is debited from) my bank for a {plan} I (no longer|do not) have.',
    ],
  },
  {
    phrases: [
      'I want to (change|update) (my payment method|the card you charge|my bank details) (before the next bill|for the {plan}|).',
      '(Can|may|could) I pay (by bank transfer|in instalments|with two cards|by invoice|in {few} parts) (for order {order}|)?',
      'My (card|credit card) (expired|is expiring|was replaced), (how do I|I must) (give you|enter) the new (one|number) (for payments|).',
      'The (VAT|tax|sales tax) on (my invoice|order {order}) (is wrong|was calculated wrong|should be zero for a company).',
      'The tax rate (you used|on the receipt) is not the one (for|of) {country}, (please issue|I need) a corrected bill.',
    ],
  },
  {
    phrases: [
      'There is (a charge|an amount|a payment) of {amount} from you on my card (that I do not know|that I did not make|I cannot explain).',
      '(What is|can you explain) the (fee|service fee|extra charge) of {amount} on my (statement|last bill|invoice)?',
      'I (see|found) an unknown (debit|charge) (with your name|by your shop) {when}.',
      'My (gift card|store credit|credit balance) of {amount} (disappeared|was not used|is not counted) (at payment|on the bill).',
      '{amount} were (debited|booked) {when} with your name on it and (I have no idea|nobody here knows) what for.',
    ],
  },
];
