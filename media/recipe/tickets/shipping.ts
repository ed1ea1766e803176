import type { Intent } from './types.js';

export const shipping: readonly Intent[] = [
  {
    phrases: [
      'Where is my (order|parcel|package|{product})? I (ordered|bought) it {days} ago (and nothing came|).',
      'My (order|parcel|package|{product}) (has not arrived|is still not here|never came) (after {days}|although it was due {when}|).',
      '(I am still waiting|we are waiting|I have been waiting {days}) for (the parcel|order {order}|my {product}).',
      'The {product} was (supposed|meant|promised) to (arrive|be here|come) {when}, (but no sign of it|nothing yet).',
      '{days} have passed and the (mailbox|doorstep) is (still|) empty, no {product} (in sight|so far).',
    ],
  },
  {
    phrases: [
      'The tracking (number|page|link) (does not work|shows nothing|has not changed for {days}) (for order {order}|).',
      'Tracking says (my parcel|the package|order {order}) is (stuck|held|sitting) in {city} (since {weekday}|for {days}).',
      '(Can|could) you (send|give) me (the|a) tracking number for (order {order}|my {product})?',
      'The tracking (status|page) (still says|only says) "(label created|in transit|processing)" (after {days}|since {weekday}).',
      'The last scan of (the box|my package) was in {city} {days} ago, (is it lost|where did it go)?',
    ],
  },
  {
    phrases: [
      'Tracking says (delivered|it was delivered) {when}, but (I got nothing|there is no parcel|nobody here has it).',
      '{carrier} (left|put) my (package|parcel) (at the wrong house|with a neighbour I do not know|in the rain).',
      '{carrier} (says|claims) (that nobody was home|I was not there), but I was (here|at home) all day.',
      'A neighbour (three streets away|from another street) (got|received) my {product}, {carrier} (mixed up|confused) the (houses|numbers).',
      '{carrier} (marked|reported) the drop-off as done {when}, yet (my porch|the hallway) is empty.',
    ],
  },
  {
    phrases: [
      'I (gave|entered|typed) the wrong (address|street|house number|postcode) for order {order}, (can you change it|please correct it).',
      '(Please|can you) (send|deliver) order {order} to (my office|a different address|my new address in {city}|a pickup point) (instead|).',
      'I am (moving|going on holiday) {when}, (can you|please) (hold|delay|redirect) the (parcel|delivery|package) (to {city}|).',
      '(Can I|is it possible to) (pick up|collect) (my {product}|the parcel) (myself|at the depot|from the warehouse in {city})?',
      'The street on (the label of|) my (package|order) is an old one, it (must|should) go to {city} instead.',
    ],
  },
  {
    phrases: [
      'Customs (in {country}|) (holds|is holding|has stopped) my (parcel|package|order), (what do they need|they want papers).',
      '(How long|how many days) (does|will) (delivery|the delivery|order {order}) to {country} take?',
      '{carrier} (wants|asks) customs (papers|duty of {amount}) (at the door|before handing over the parcel).',
      'My package to {country} (came back to you|was sent back to the sender|is stuck at the border).',
      'The border office in {country} (keeps|has kept) my {product} for {days} because a form is missing on the box.',
    ],
  },
  {
    phrases: [
      'Only (one|part|half) of my (order|delivery) (arrived|came), (the {product}|one box) is (missing|not in the box).',
      'The (parcel|box) (arrived|came) (empty|open|half empty), the {product} (is missing|must have fallen out on the way).',
      'Order {order} came in {few} (boxes|parcels) and one (is missing|never showed up).',
      'I (ordered|paid for) {few} but (only one|fewer) (came in the parcel|arrived|was delivered).',
      'Out of {few} (boxes|packages) just one has (reached|got to) me, when will the rest come?',
    ],
  },
  {
    phrases: [
      '(Can|could) you (speed up|hurry up) (the delivery|shipping) of order {order}, I need it (by {weekday}|before {weekday}).',
      'I paid for (express|next day|fast) (shipping|delivery) and (it took|it is already) {days}.',
      '(When|on which day) (will|does) (order {order}|my {product}) (ship|leave the warehouse|go out)?',
      'It still says "preparing" (for|on) order {order} after {days}, when (do you ship|will it be sent)?',
      'The {product} is a gift for {weekday}, (will it be here in time|can {carrier} make it)?',
    ],
  },
];
