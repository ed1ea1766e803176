/** The starter model's tokenizer and generation settings as Hugging Face files. */

import { type Bpe, countWords, splitPattern, trainBpe } from './bpe.js';

export const vocabularySize = 2048;

/** Ends a text, and fills where others pad. */
export const endOfText = '<|endoftext|>';
export const turnStart = '<|im_start|>';
/** Ends a message: where generation stops. */
export const turnEnd = '<|im_end|>';

/** They take the last ids of the vocabulary, in this order. */
export const specialTokens = [endOfText, turnStart, turnEnd] as const;

/** ChatML. The `generation` block marks what an assistant's turn is trained on; renderers that do not know it ignore it. */
export const chatTemplate = [
  `{%- for message in messages %}`,
  `{{- '${turnStart}' + message['role'] + '\\n' }}`,
  `{%- if message['role'] == 'assistant' %}`,
  `{%- generation %}{{- message['content'] + '${turnEnd}' }}{%- endgeneration %}`,
  `{%- else %}{{- message['content'] + '${turnEnd}' }}{%- endif %}`,
  `{{- '\\n' }}{%- endfor %}`,
  `{%- if add_generation_prompt %}{{- '${turnStart}assistant\\n' }}{%- endif %}`,
].join('');

export const maxPositions = 512;

/** File name → text. The vocabulary is trained on `texts`, which should hold no special tokens. */
export function tokenizerFiles(texts: Iterable<string>): Readonly<Record<string, string>> {
  const bpe = trainBpe(countWords(texts), vocabularySize - specialTokens.length);
  if (bpe.vocabulary.length !== vocabularySize - specialTokens.length)
    throw new Error('Too little text for the vocabulary');
  const id = (token: (typeof specialTokens)[number]) => bpe.vocabulary.length + specialTokens.indexOf(token);
  return {
    'tokenizer.json': json(tokenizerJson(bpe)),
    'tokenizer_config.json': json({
      added_tokens_decoder: Object.fromEntries(specialTokens.map((token) => [id(token), addedToken(token)])),
      add_prefix_space: false,
      bos_token: null,
      chat_template: chatTemplate,
      clean_up_tokenization_spaces: false,
      eos_token: turnEnd,
      model_max_length: maxPositions,
      pad_token: endOfText,
      tokenizer_class: 'PreTrainedTokenizerFast',
      unk_token: null,
    }),
    'special_tokens_map.json': json({ eos_token: turnEnd, pad_token: endOfText }),
    'generation_config.json': json({
      do_sample: false,
      eos_token_id: [id(turnEnd), id(endOfText)],
      pad_token_id: id(endOfText),
    }),
  };
}

const addedToken = (content: string) => ({
  content,
  lstrip: false,
  normalized: false,
  rstrip: false,
  single_word: false,
  special: true,
});

function tokenizerJson({ vocabulary, merges }: Bpe): unknown {
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((token, i) => ({ id: vocabulary.length + i, ...addedToken(token) })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [{ type: 'Split', pattern: { Regex: splitPattern }, behavior: 'Isolated', invert: false }, bytes],
    },
    post_processor: bytes,
    decoder: bytes,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary.map((token, i) => [token, i])),
      merges: merges.map(([first, second]) => `${vocabulary[first]} ${vocabulary[second]}`),
    },
  };
}

export const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
