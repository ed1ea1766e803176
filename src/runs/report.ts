/** Reads an experiment's runs into a report and writes its three files. */

import { basename, join } from 'node:path';
import { buildReport, type Report, type ReportInput, reportCsv, reportMarkdown } from '../core/report.js';
import { writeDurably } from './files.js';
import { readLabel } from './label.js';
import { summarizeRun } from './list.js';
import { exists, openRun, readExperiment, runNames } from './run-folder.js';

export async function reportExperiment(experimentDirectory: string): Promise<Report> {
  const experiment = await readExperiment(experimentDirectory);
  const present = new Set(await runNames(experimentDirectory));
  const planned = experiment?.runs ?? [];
  const inputs: ReportInput[] = [];
  const add = async (name: string, label?: string, values: Readonly<Record<string, unknown>> = {}): Promise<void> => {
    if (!present.delete(name)) {
      inputs.push({ run: name, label: label ?? name, kind: 'train', state: 'missing', values, history: undefined });
      return;
    }
    const folder = join(experimentDirectory, name);
    const { run, state, history } = await summarizeRun(await openRun(folder));
    inputs.push({
      run: name,
      label: readLabel(folder) ?? label ?? run.info.label,
      kind: run.info.kind,
      state,
      values,
      history,
    });
  };
  const baseline = experiment?.baseline ?? null;
  if (baseline !== null && present.has(baseline)) await add(baseline);
  for (const { name, label, values } of planned) await add(name, label, values);
  for (const name of [...present]) await add(name);
  const name = readLabel(experimentDirectory) ?? experiment?.name ?? basename(experimentDirectory);
  return buildReport(name, inputs, new Date());
}

/** Writes the report anew where there is one: names in it have changed. */
export async function refreshReport(experimentDirectory: string): Promise<void> {
  if (!(await exists(join(experimentDirectory, 'report.json')))) return;
  await writeReport(experimentDirectory, await reportExperiment(experimentDirectory));
}

export async function writeReport(experimentDirectory: string, report: Report): Promise<string[]> {
  const files: [string, string][] = [
    ['report.json', `${JSON.stringify(report, null, 2)}\n`],
    ['report.md', reportMarkdown(report)],
    ['report.csv', reportCsv(report)],
  ];
  for (const [name, text] of files) await writeDurably(join(experimentDirectory, name), text);
  return files.map(([name]) => join(experimentDirectory, name));
}
