/** The environment variable that asks a trainer for messages; in a file of its own, for a program that asks before it loads anything. */
export const messagesVariable = 'SFT_LAB_TERMINAL_MESSAGES';
