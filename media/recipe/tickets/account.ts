import type { Intent } from './types.js';

export const account: readonly Intent[] = [
  {
    phrases: [
      'I (forgot|lost|do not remember) my password (and cannot log in|, please help|, how do I get a new one).',
      'The password reset (mail|link|email) (never arrives|does not come|has expired|does not work).',
      'I (tried|asked) to reset my password {few} times, (no mail came|the link is dead).',
      '(Please|can you) (reset|change) (my|the) password for the (profile|login|account) of {name} {surname}.',
      'The secret word for my (profile|login) has slipped my mind and (no mail|nothing) comes to choose a new one.',
    ],
  },
  {
    phrases: [
      'I (cannot|can not|am unable to) (log in|sign in|get into my account) (since {when}|any more|on {site}).',
      'My (account|login|profile) (is|was|has been) (locked|blocked|suspended) (after {few} attempts|{when}|without a reason).',
      'It says (my user name or password is wrong|user unknown|account not found), but (it is right|I use the same as always).',
      '(Please unlock|why did you lock|can you unblock) my (account|login|profile)?',
      'Since {weekday} I am shut out, the sign-in page does not (accept|know) me any more.',
    ],
  },
  {
    phrases: [
      'I (want|would like|need) to (change|update) (the email address|my email|my phone number|my name) (in my account|of my profile|you have for me).',
      'My (name|surname|birthday|phone number) is (wrong|misspelled) in my (profile|account), (how do I change it|please correct it).',
      'I have (a new email address|got married and have a new name|a new phone number), please update my (account|profile).',
      '(How|where) (do|can) I (change|edit) (my profile|my user name|my personal data|my email)?',
      'I am now called {surname} and not {surname}, please put that into your (records|files).',
    ],
  },
  {
    phrases: [
      '(Please|I want you to|can you) (delete|close|remove) my (account|profile|account and all my data).',
      'How (do|can) I (delete|close|deactivate) my (account|profile|user account)?',
      'I (no longer|do not) (need|want|use) my account, (please delete everything|remove my data|close it).',
      'Under (data protection|privacy) law I (ask|want) to (know|see|have erased) (all data|the personal data) you (hold|store) about me.',
      'Wipe everything you have (stored|saved) about {name} {surname}, I do not wish to be a member any more.',
    ],
  },
  {
    phrases: [
      'The (security code|login code|two factor code|verification code) (never comes|does not arrive|is not accepted) (by text|on my phone|).',
      'I (lost|changed|sold) my phone and (cannot get|no longer get) the (login code|verification code|two factor code).',
      '(How do I|I want to) (turn on|turn off|set up) (two factor login|two step verification|the login code).',
      'The (confirmation|verification) (mail|email) for my (new account|registration) (did not come|never came|is missing).',
      'The six digits you text me (to let me in|at sign-in) come too late and are refused.',
    ],
  },
  {
    phrases: [
      '(I think|I fear) (somebody|someone) (hacked|got into|is using) my (account|profile|login), (what now|please help).',
      'I got a mail about a (new login|sign-in) from {country}, (that was not me|I have never been there).',
      'Someone (changed|has changed) my (password|email address) (without my knowledge|, I did not do that).',
      'There is a (stranger|name I do not know) (in|on) my (profile|account), (please secure it|was I hacked).',
      'Your mail says that I signed in from {city} {when}, I was asleep, (it must be|was that) a thief.',
    ],
  },
  {
    phrases: [
      'I have two (accounts|profiles), (can you|please) (merge|join|combine) them (into one|)?',
      'How do I (add|remove|invite) (a user|{person}|a team member) (to|from|in) (my|our) (account|team account)?',
      '(Please unsubscribe me|take me off|I want to unsubscribe) from (the newsletter|your mailing list|all mails).',
      'I cannot (register|create an account|sign up), it says (my email is already used|the user name is taken).',
      'When I try to become a member it says that (this mail|my address) is known already, but I never joined.',
    ],
  },
];
