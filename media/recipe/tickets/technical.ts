import type { Intent } from './types.js';

export const technical: readonly Intent[] = [
  {
    phrases: [
      '{app} (crashes|closes|freezes) (when I open it|every time|after a few seconds|on {system}) (since the update|).',
      '{app} (hangs|gets stuck|stops responding) (on {system}|on the start screen|at the loading screen|when I press save).',
      'Since the (last|new) (update|version) {app} (is very slow|does not start|shows a blank screen) (on {system}|).',
      'After (updating|the update) {app} (keeps crashing|will not open|shows an error) (on {system}|).',
      'On {system} I tap the icon of {app}, it (flashes|blinks) once and is gone.',
    ],
  },
  {
    phrases: [
      'The {device} (does not|will not|refuses to) (turn on|start|switch on|charge|boot) (any more|since {when}|).',
      'My {device} (keeps|is always) (restarting|switching off|freezing|rebooting) (by itself|after a few minutes|).',
      'The {device} (stopped working|shows a black screen|only blinks red), (what can I do|how do I reset it|any idea).',
      'The (battery|screen|power button) of (my|the) {device} (does not work|is acting up|dies after an hour), how do I fix (that|it)?',
      'When I press the power key of the {device} a red light blinks {few} times, (then silence|and that is all).',
    ],
  },
  {
    phrases: [
      'The {device} (does not|cannot|will not) connect to (the wifi|my network|bluetooth|my phone|{system}).',
      'My {device} (loses|drops) the (wifi|bluetooth|connection) (every few minutes|all the time|when I leave the room).',
      'I cannot (pair|connect|sync) the {device} with ({system}|my phone|{app}).',
      '(How|can you tell me how) (do I|to) (connect|pair|link) (the|my) {device} (with|to) ({system}|the wifi|my TV)?',
      'The signal between the {device} and {system} (breaks off|is gone) as soon as I walk {few} steps.',
    ],
  },
  {
    phrases: [
      '(I get|it shows|there is) (the error|error code|error) E{digit}{digit} (when I start the {device}|on the {device}|in {app}).',
      'The {device} (shows|displays) "error {digit}{digit}" (after the update|on the screen|when I print|).',
      '{app} (says|reports) "(something went wrong|unknown error|cannot load data)" (when I open a file|on {system}|all the time).',
      '{site} (shows|gives) (an error page|error 500|a blank page) (in {browser}|when I open the search|).',
      'A message with the number {digit}{digit}{digit} pops up (on the {device}|in {app}) and nothing works (after that|then).',
    ],
  },
  {
    phrases: [
      'How do I (set up|install|configure) (the|my new) {device} (with {system}|at home|)?',
      'The (installation|setup) of (the software|the {device}|the driver) (fails|stops at {digit}0 percent|never ends) on {system}.',
      '(Where do I find|I need|is there) (the manual|a driver|the latest firmware|a guide) for (the|my) {device}?',
      'The (firmware|software) update of (my|the) {device} (fails|gets stuck|does not install|broke the bluetooth).',
      'The wizard that should get the {device} going on {system} (ends|stops) at step {few} each time.',
    ],
  },
  {
    phrases: [
      'The (sound|picture|video|microphone) of (my|the) {device} (is distorted|cuts out|flickers|is gone) (since the update|).',
      '{app} does not (save|load|export|show) my (files|photos|settings|data) (any more|on {system}|).',
      'The (buttons|menus|search|upload) (on {site}|in {app}) (do not react|does nothing|is broken) in {browser}.',
      '{site} (is slow|does not load|looks broken) in {browser}, the (pictures|buttons) (are missing|do not show).',
      'In {browser} half of the page stays white and the (search|menu) does not react to clicks.',
    ],
  },
  {
    phrases: [
      '(How do I|how can I) (reset|restart|update|clean install) (the|my) {device} (to factory settings|without losing data|)?',
      'My data (is not synced|does not sync|disappeared) between {system} and {app}.',
      'The notifications of {app} (do not come|stopped|come twice) on {system}.',
      'Which (setting|option) (makes|lets) the {device} (work|run) with {system}, (it does not recognise it|it is not detected)?',
      '{system} does not see the {device} when I plug in the cable, is a driver needed?',
    ],
  },
];
