/** Makes a data set of conversations about a kilobyte long: words by Zipf's law, numbers, marks, line ends, some Chinese. */

import { closeSync, openSync, writeSync } from 'node:fs';
import { fileWriter, ParquetWriter } from 'hyparquet-writer';
import { Random } from '../../src/core/random.js';

const [kind, file = '', count = '0'] = process.argv.slice(2);
const records = Number(count);
const random = new Random(1);
const syllables = 'ka lo mi ter sen vo ri an del ung ex pro ta ble ner shi wa qu ist or'.split(' ');
const words = Array.from({ length: 20_000 }, (_, i) => {
  const size = 1 + Math.floor(Math.log2(i + 2) / 4);
  return Array.from({ length: size }, () => syllables[random.below(syllables.length)]).join('');
});
const marks = [', ', '. ', '.\n', '? ', ': ', ' (', ') ', ' "', '" ', '\n\n- ', ' = ', "'s "];

function text(length: number): string {
  let made = '';
  while (made.length < length) {
    // The logarithm of an even number falls off as word counts do.
    const rank = Math.floor(words.length ** ((random.uint32() % 65_536) / 65_536)) - 1;
    const chance = random.below(40);
    if (chance === 0) made += `${random.below(10_000)} `;
    else if (chance === 1) made += '数据集很大 ';
    else made += `${words[rank]}${chance < 6 ? marks[random.below(marks.length)] : ' '}`;
  }
  return made;
}

// A few thousand texts put together anew are as varied as the readers can tell, and are made in seconds.
const parts = Array.from({ length: 4000 }, () => text(240));
const part = (): string => parts[random.below(parts.length)] ?? '';
const conversation = (i: number) => [
  { role: 'user', content: `${i}: ${part()}` },
  { role: 'assistant', content: part() + part() + part() },
];

if (kind === 'jsonl') {
  const fd = openSync(file, 'w');
  let lines = '';
  for (let i = 0; i < records; i++) {
    lines += `${JSON.stringify({ id: i, messages: conversation(i), source: 'bench' })}\n`;
    if (lines.length > 1 << 22) {
      writeSync(fd, lines);
      lines = '';
    }
  }
  writeSync(fd, lines);
  closeSync(fd);
} else {
  const writer = new ParquetWriter({
    writer: fileWriter(file),
    codec: 'UNCOMPRESSED',
    schema: [
      { name: 'root', num_children: 2 },
      { name: 'id', type: 'INT32', repetition_type: 'REQUIRED' },
      { name: 'messages', converted_type: 'LIST', repetition_type: 'OPTIONAL', num_children: 1 },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      { name: 'element', repetition_type: 'OPTIONAL', num_children: 2 },
      { name: 'role', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
      { name: 'content', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
    ],
  });
  const group = 50_000;
  for (let from = 0; from < records; from += group) {
    const rows = Array.from({ length: Math.min(group, records - from) }, (_, i) => from + i);
    writer.write({
      columnData: [
        { name: 'id', data: rows },
        { name: 'messages', data: rows.map(conversation) },
      ],
    });
  }
  writer.finish();
}
