import type { Intent } from './types.js';

export const returns: readonly Intent[] = [
  {
    phrases: [
      'I (want|would like|need) to (return|send back|give back) (the {product}|my {product}|order {order}) (please|, how do I do that|).',
      '(How|where) (do|can) I (return|send back) (a {product}|the {product}|something I {bought} {when})?',
      '(Please send|can I have|I need) (a|the) return (label|form|slip) for (the {product}|order {order}).',
      'The return label (does not print|has expired|is missing|was not in the box) (for order {order}|).',
      'I (changed my mind|do not like it) and the {product} should go back to you, what (are the steps|do I do now)?',
    ],
  },
  {
    phrases: [
      'The {clothing} is too (small|big|tight|long|short), (can I exchange it|I want to exchange it) for (a {size}|another size).',
      'The {clothing} does not fit, (I need|please exchange it for|can I swap it for) {size}.',
      '(Can|could) I (swap|exchange) the {product} for (a {colour} one|another one|a different model)?',
      'I {bought} the wrong (size|colour|model), (may I exchange it|how do I swap it)?',
      'My (feet|arms|shoulders) do not get into the {clothing}, one number (bigger|larger) would be right, can we trade?',
    ],
  },
  {
    phrases: [
      'The {product} (arrived|came|was) (broken|damaged|scratched|cracked), I want (a new one|a replacement|my money back).',
      'There is a (crack|scratch|hole|stain|dent) in the (new |){product}, please (replace it|take it back|exchange it).',
      'The {household} (has a fault|broke after {days}|fell apart), I (want|would like) to (send it back|get a replacement).',
      'The {clothing} (ripped|lost its colour|came apart) after {days}, (that is a warranty case|I want a replacement).',
      'Right out of the box the {product} had a (dent|chip|tear), I will not keep it.',
    ],
  },
  {
    phrases: [
      'You (sent|delivered) (the wrong {product}|a {colour} {clothing} instead of a {colour} one|me a {product} and not a {product}), I want to (exchange|return) it.',
      'I (got|received) a {product} but I {bought} a {product}, (how do I send it back|please exchange it).',
      'This is not the {product} (from the picture|I chose|I ordered), (take it back|I will return it|please swap it).',
      'Wrong (colour|size|model) in the box, (I want to swap it|how can I exchange the {product}).',
      'In the box was {an product}, what I chose was {an product}, so this one has to go back.',
    ],
  },
  {
    phrases: [
      'I (sent|returned|gave) back the {product} {when}, (when do I get my money back|when is the refund coming|did you receive it).',
      'The refund for (the|my) returned {product} (has not come|is still missing|is late) (after {days}|).',
      'You (got|received) my return {when}, but (no refund so far|I have not seen the refund).',
      'My refund for (the return of order {order}|the {product} I sent back) is (too low|{amount} short|not complete).',
      'The {product} has been back in your warehouse for {days} and (no money came|I still wait for my money).',
    ],
  },
  {
    phrases: [
      '(How long|until when|how many days) (can I|may I) (return|send back|exchange) (the {product}|an item|something)?',
      'Can I (still|) return (the {product}|it) after {days} (without the box|without the receipt|if it is opened|if I used it once)?',
      'Do I (have to pay|pay) for the return (of the {product}|parcel|postage), or is (the return|it) free?',
      'What is (your|the) return policy for (a {product}|opened items|things on sale|gifts)?',
      'It has been {days} and the wrapping is gone, would you still take the {product} back?',
    ],
  },
  {
    phrases: [
      '(My|the) {product} is (still under|within the|under) warranty and (stopped being usable|is broken), I want (a replacement|it replaced).',
      'I (got|received) the {product} as a gift (from {name}|) and (want|would like) to (exchange|return) it (for something else|).',
      '(Please cancel|I cancel) my (order|purchase) of the {product}, it (came|is here) already and I (send|will send) it back.',
      'The quality of the {product} is (bad|poor|disappointing), I am (returning|sending) it (back|) and want my money back.',
      'I am not (happy|pleased) with the {product} at all, tell me (where to post it|which address to send it to) so that I get my money.',
    ],
  },
];
