/** The kinds of word problems: each draws numbers and says the question and its worked steps. */

import { between, chance, pick, shuffled } from '../grammar.js';
import { names } from '../lexicon.js';
import type { Random } from '../random.js';

export interface Step {
  /** What is worked out, put before the sum. */
  readonly about: string;
  readonly sum: string;
  readonly result: number;
}

export interface Problem {
  readonly question: string;
  readonly steps: readonly Step[];
}

const things = [
  ...[
    'apples',
    'pens',
    'books',
    'coins',
    'stickers',
    'eggs',
    'cookies',
    'marbles',
    'tickets',
    'cards',
    'shells',
    'plums',
  ],
  ...[
    'buttons',
    'candles',
    'flowers',
    'stamps',
    'balloons',
    'pencils',
    'muffins',
    'oranges',
    'nails',
    'cups',
    'photos',
    'beads',
  ],
];
const containers = ['boxes', 'bags', 'baskets', 'crates', 'trays', 'jars', 'packs', 'shelves'];
const goods: readonly (readonly [one: string, many: string])[] = [
  ...([
    ['a pen', 'pens'],
    ['a cup', 'cups'],
    ['a ball', 'balls'],
    ['a book', 'books'],
    ['a hat', 'hats'],
  ] as const),
  ...([
    ['a plant', 'plants'],
    ['a lamp', 'lamps'],
    ['a ticket', 'tickets'],
    ['a cake', 'cakes'],
    ['a toy', 'toys'],
  ] as const),
];
const tasks = ['reads', 'folds', 'paints', 'packs', 'washes', 'checks', 'counts', 'sells'];
const vehicles = ['A train', 'A bus', 'A truck', 'A cyclist', 'A boat', 'A car'];

export const add = (about: string, a: number, b: number): Step => ({ about, sum: `${a} + ${b}`, result: a + b });
const take = (about: string, a: number, b: number): Step => ({ about, sum: `${a} - ${b}`, result: a - b });
export const times = (about: string, a: number, b: number): Step => ({ about, sum: `${a} * ${b}`, result: a * b });
const share = (about: string, a: number, b: number): Step => ({ about, sum: `${a} / ${b}`, result: a / b });

export type Kind = (random: Random) => Problem;

const [total, left, one, both] = ['In all', 'Left', 'Each', 'Together'] as const;

/** Gains and losses in a row, one to four of them. */
const story: Kind = (random) => {
  const [who = '', friend = ''] = shuffled(names, random);
  const thing = pick(things, random);
  let have = between(5, 40, random);
  let question = pick(
    [
      `${who} has ${have} ${thing}.`,
      `${who} starts the day with ${have} ${thing}.`,
      `There are ${have} ${thing} on ${who}'s table.`,
    ],
    random,
  );
  const steps: Step[] = [];
  for (let n = between(1, 4, random); n > 0; n--) {
    if (have > 6 && chance(0.5, random)) {
      const k = between(2, Math.min(have - 1, 20), random);
      question += ` ${pick([`${who} gives ${k} to ${friend}.`, `Then ${k} get lost.`, `${friend} takes ${k} of them.`, `${k} are sold.`], random)}`;
      steps.push(take(pick([left, `After that`, `Now`], random), have, k));
      have -= k;
    } else {
      const k = between(2, 25, random);
      question += ` ${pick([`${friend} brings ${k} more.`, `Then ${who} finds ${k} more.`, `${who} buys another ${k}.`, `${k} more are added.`], random)}`;
      steps.push(add(pick(['Now', 'After that', total], random), have, k));
      have += k;
    }
  }
  question += ` ${pick([`How many ${thing} does ${who} have now?`, `How many ${thing} are there in the end?`, `How many ${thing} is that now?`], random)}`;
  return { question, steps };
};

const packed: Kind = (random) => {
  const who = pick(names, random);
  const thing = pick(things, random);
  const box = pick(containers, random);
  const n = between(2, 9, random);
  const each = between(2, 12, random);
  const loose = between(1, 15, random);
  const first = times(pick([`In the ${box}`, total, `${n} ${box}`], random), n, each);
  const base = pick(
    [
      `${who} fills ${n} ${box} with ${each} ${thing} each.`,
      `There are ${n} ${box} with ${each} ${thing} in each of them.`,
      `${who} buys ${n} ${box} of ${each} ${thing}.`,
    ],
    random,
  );
  const kind = random.below(3);
  if (kind === 0) return { question: `${base} How many ${thing} is that in all?`, steps: [first] };
  if (kind === 1) {
    return {
      question: `${base} ${loose} more lie beside them. How many ${thing} are there?`,
      steps: [first, add('With the others', first.result, loose)],
    };
  }
  const lost = between(1, Math.min(first.result - 1, 15), random);
  return {
    question: `${base} ${pick([`${lost} of the ${thing} are broken.`, `${lost} are given away.`, `${lost} go missing.`], random)} How many ${thing} are left?`,
    steps: [first, take(left, first.result, lost)],
  };
};

const shopping: Kind = (random) => {
  const who = pick(names, random);
  const [[oneA, manyA], [oneB, manyB]] = shuffled(goods, random) as [
    readonly [string, string],
    readonly [string, string],
  ];
  const [priceA, priceB] = [between(2, 12, random), between(2, 12, random)];
  const [a, b] = [between(2, 8, random), between(2, 6, random)];
  const costA = times(`The ${manyA}`, a, priceA);
  const kind = random.below(3);
  const prices = pick([`${upper(oneA)} costs $${priceA}`, `The price of ${oneA} is $${priceA}`], random);
  if (kind === 0) {
    return { question: `${prices}. How much do ${a} ${manyA} cost?`, steps: [costA] };
  }
  if (kind === 1) {
    const paid = Math.ceil((costA.result + 1) / 10) * 10;
    return {
      question: `${prices}. ${who} buys ${a} ${manyA} and pays with $${paid}. How much money does ${who} get back?`,
      steps: [costA, take('Back', paid, costA.result)],
    };
  }
  const costB = times(`The ${manyB}`, b, priceB);
  return {
    question: `${prices} and ${oneB} costs $${priceB}. ${who} wants ${a} ${manyA} and ${b} ${manyB}. What does ${who} have to pay?`,
    steps: [costA, costB, add(total, costA.result, costB.result)],
  };
};

const sharing: Kind = (random) => {
  const who = pick(names, random);
  const thing = pick(things, random);
  const people = between(2, 9, random);
  const each = between(2, 12, random);
  const group = pick(['children', 'friends', 'neighbours', 'classmates', 'cousins'], random);
  if (chance(0.5, random)) {
    return {
      question: `${who} shares ${people * each} ${thing} equally among ${people} ${group}. How many ${thing} does each of them get?`,
      steps: [share(one, people * each, people)],
    };
  }
  const kept = between(2, 15, random);
  const start = people * each + kept;
  return {
    question: `${who} has ${start} ${thing}, keeps ${kept} and shares the rest equally among ${people} ${group}. How many does each get?`,
    steps: [take('To share', start, kept), share(one, start - kept, people)],
  };
};

const compare: Kind = (random) => {
  const [a = '', b = '', c = ''] = shuffled(names, random);
  const thing = pick(things, random);
  const n = between(4, 30, random);
  const kind = random.below(4);
  if (kind === 0) {
    const more = between(2, 20, random);
    return {
      question: `${a} has ${n} ${thing}. ${b} has ${more} more than ${a}. How many ${thing} do they have together?`,
      steps: [add(b, n, more), add(both, n, n + more)],
    };
  }
  if (kind === 1) {
    const less = between(1, n - 1, random);
    return {
      question: `${a} has ${n} ${thing}. ${b} has ${less} fewer than ${a}. How many ${thing} does ${b} have?`,
      steps: [take(b, n, less)],
    };
  }
  if (kind === 2) {
    const factor = between(2, 4, random);
    return {
      question: `${b} has ${factor === 2 ? 'twice' : `${factor} times`} as many ${thing} as ${a}, who has ${n}. How many have they together?`,
      steps: [times(b, n, factor), add(both, n, n * factor)],
    };
  }
  const [m, k] = [between(4, 30, random), between(4, 30, random)];
  return {
    question: `${a} has ${n} ${thing}, ${b} has ${m} and ${c} has ${k}. How many ${thing} do the three have?`,
    steps: [add(`${a} and ${b}`, n, m), add(total, n + m, k)],
  };
};

const rate: Kind = (random) => {
  const who = pick(names, random);
  const thing = pick(things, random);
  const perHour = between(3, 15, random);
  const hours = between(2, 9, random);
  const kind = random.below(3);
  if (kind === 0) {
    return {
      question: `${who} ${pick(tasks, random)} ${perHour} ${thing} an hour. How many ${thing} is that in ${hours} hours?`,
      steps: [times(`${hours} hours`, perHour, hours)],
    };
  }
  if (kind === 1) {
    return {
      question: `${pick(vehicles, random)} goes ${perHour * 10} km in an hour. How far does it go in ${hours} hours?`,
      steps: [times(`${hours} hours`, perHour * 10, hours)],
    };
  }
  const more = between(2, 6, random);
  const second = between(3, 12, random);
  return {
    question: `${who} walks ${perHour} km a day for ${hours} days and then ${second} km a day for ${more} days. How many km is that?`,
    steps: [times('First', perHour, hours), times('Then', second, more), add(total, perHour * hours, second * more)],
  };
};

const saving: Kind = (random) => {
  const who = pick(names, random);
  const weekly = between(3, 15, random);
  const weeks = between(2, 9, random);
  const start = between(5, 40, random);
  const saved = times('Saved', weekly, weeks);
  const question = `${who} has $${start} and saves $${weekly} ${pick(['a week', 'each week', 'every week'], random)} for ${weeks} weeks.`;
  const sum = add(total, start, saved.result);
  if (chance(0.5, random))
    return { question: `${question} How much money does ${who} have then?`, steps: [saved, sum] };
  const spent = between(3, Math.min(sum.result - 1, 30), random);
  return {
    question: `${question} Then ${who} spends $${spent} on ${pick(goods, random)[0]}. How much is left?`,
    steps: [saved, sum, take(left, sum.result, spent)],
  };
};

const garden: Kind = (random) => {
  const what = pick(['garden', 'room', 'field', 'yard', 'carpet', 'table'], random);
  const [long, wide] = [between(4, 15, random), between(2, 12, random)];
  const question = `A ${what} is ${long} m long and ${wide} m wide.`;
  if (chance(0.5, random)) {
    return { question: `${question} How many square metres does it have?`, steps: [times('Area', long, wide)] };
  }
  return {
    question: `${question} How long is the way once around it?`,
    steps: [add('Long and wide', long, wide), times('Twice', long + wide, 2)],
  };
};

const rows: Kind = (random) => {
  const place = pick(['hall', 'theatre', 'bus', 'classroom', 'cinema'], random);
  const [n, each] = [between(3, 12, random), between(3, 12, random)];
  const seats = times('Seats', n, each);
  const taken = between(2, seats.result - 1, random);
  const question = `A ${place} has ${n} rows of ${each} seats. ${taken} seats are taken.`;
  const free = take('Free', seats.result, taken);
  if (chance(0.6, random)) return { question: `${question} How many seats are free?`, steps: [seats, free] };
  const come = between(1, Math.max(1, Math.min(20, free.result)), random);
  return {
    question: `${question} Then ${come} ${come === 1 ? 'person sits' : 'people sit'} down. How many seats are still free?`,
    steps: [seats, free, take('Still free', free.result, come)],
  };
};

const ages: Kind = (random) => {
  const [a = '', b = ''] = shuffled(names, random);
  const n = between(5, 40, random);
  const older = between(2, 15, random);
  const years = between(2, 12, random);
  const older1 = add(`${b} now`, n, older);
  if (chance(0.5, random)) {
    return {
      question: `${a} is ${n} years old. ${b} is ${older} years older. How old are they together?`,
      steps: [older1, add(both, n, older1.result)],
    };
  }
  return {
    question: `${a} is ${n} years old. ${b} is ${older} years older. How old will ${b} be in ${years} years?`,
    steps: [older1, add('Then', older1.result, years)],
  };
};

const bakery: Kind = (random) => {
  const who = pick(names, random);
  const [trays, each, price] = [between(2, 6, random), between(3, 10, random), between(2, 5, random)];
  const all = times('Baked', trays, each);
  const kept = between(1, Math.min(10, all.result - 2), random);
  const sold = take('Sold', all.result, kept);
  const cost = between(2, 20, random);
  const money = times('Money', sold.result, price);
  const question = `${who} bakes ${trays} trays of ${each} rolls, keeps ${kept} and sells the rest for $${price} each.`;
  if (cost >= money.result || chance(0.5, random))
    return { question: `${question} How much money does ${who} take in?`, steps: [all, sold, money] };
  return {
    question: `${question} The flour cost $${cost}. How much money remains?`,
    steps: [all, sold, money, take(left, money.result, cost)],
  };
};

/** The kinds with the chances in which they are drawn. */
export const kinds: readonly Kind[] = [
  story,
  story,
  packed,
  shopping,
  sharing,
  compare,
  rate,
  saving,
  garden,
  rows,
  ages,
  bakery,
];

const upper = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
