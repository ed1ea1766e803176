/**
 * The environment variable that asks a trainer for messages: `1`, or on Windows the name of the pipe that takes them with all else that
 * the screen shows. In a file of its own, for a program that asks before it loads anything.
 */
export const messagesVariable = 'SFT_LAB_TERMINAL_MESSAGES';
