import type { Intent } from './types.js';

export const sales: readonly Intent[] = [
  {
    phrases: [
      '(How much|what) (does|would|is) (the {product}|{few} {product}|the {plan}) (cost|be|the price)?',
      '(What is|can you tell me) the price (of|for) (the {product}|{digit}0 pieces|the {plan})?',
      '(Could|can) (you|I) (send me|get|make me) (a quote|an offer|a price list) for ({digit}0 {product}|the {plan}|our office)?',
      'Is the {product} (going to be|) (cheaper|on sale|on offer) (in {month}|next week|soon)?',
      'Before I (decide|buy), what would {digit}0 of the {product} come to?',
    ],
  },
  {
    phrases: [
      '(Do you have|is) the {product} (in stock|available) (in {colour}|in {size}|) (now|)?',
      'When (will|is) the {product} (be back|) (in stock|available) (again|)?',
      'The {product} is (sold out|out of stock), (will you get more|when can I buy one)?',
      'Do you (also|) (sell|have|offer) (a {product}|a {product} in {colour}|a smaller {product}|gift cards)?',
      'I am looking for {an product} in {colour}, is that something you carry?',
    ],
  },
  {
    phrases: [
      '(Do you offer|is there|can I get) a (discount|special price|lower price) for (students|companies|large orders|{digit}0 pieces|schools)?',
      'We (want|would like|plan) to (buy|order) {digit}0 {product} for (our office|our company|a school), (what discount do you give|who can make an offer).',
      'I (saw|found) the {product} (cheaper|for {amount}) (elsewhere|in another shop), (can you match that price|do you match it)?',
      'Do you have a (coupon|promo code|discount code) for (new customers|first time buyers|a {product})?',
      'Our school is thinking of {digit}0 {product}, what could you do for us (if we take them all|on price)?',
    ],
  },
  {
    phrases: [
      '(Which|what) {device} (do you recommend|would you suggest|is best) for (a beginner|{person}|a small flat|travel|an office)?',
      'What is the difference between (the two {device}|the {plan} and the {plan}|the {colour} and the {colour} {product}) (you sell|)?',
      'I (want|would like|plan) to (buy|get) {an product} for {person}, (which one is right|what do you recommend)?',
      '(I cannot decide|help me choose) between {an product} and {an product} (as a gift|for {person}|).',
      '{person} (has a birthday|turns {digit}0) {when}, which {product} makes a good present?',
    ],
  },
  {
    phrases: [
      '(Does|will) the {device} (you sell|in your shop|) work with {system} (if I buy it|, before I order one|)?',
      '(Before I buy|before I order|I am interested): (how big|how heavy|how loud|how long) is the {product}?',
      '(Is|are) the {product} (you offer|on your page|) (waterproof|made of leather|safe for children|made in {country})?',
      'I am (interested in|thinking about) (buying |)the {product}, (does it come with|is there) (a case|a cable|a two year guarantee|a manual)?',
      'What is the {clothing} made of, and does it come in {colour}? (I may take two|Then I would buy it).',
    ],
  },
  {
    phrases: [
      'I (want|would like) to (upgrade|switch|move) (to|from my plan to) the {plan}, what does (it|that) (include|offer)?',
      'What (is included in|do I get with|comes with) the {plan}?',
      '(Can I|is it possible to) (try|test) the {plan} (for free|before buying|for a month)?',
      'Does the {plan} (also |)(include|cover) {few} (users|devices|people), and what does it cost?',
      'We are {few} people and look for something like the {plan}, what would you offer us?',
    ],
  },
  {
    phrases: [
      'I (want|would like) to (place|make) an order for {digit}0 {product} (by phone|for my company|), who (is my contact|can help me)?',
      'Do you have a (shop|store|showroom) in {city} where I can (see|try|buy) the {product}?',
      'We (run|have) a shop in {city} and (want|would like) to (sell|resell) your {product}, (who do we talk to|do you work with partners).',
      '(Please call me|can someone call me|I would like advice) about (buying|an offer for) {digit}0 {product}.',
      'Our company in {city} wishes to become a partner and stock your {household}, please get in touch.',
    ],
  },
];
