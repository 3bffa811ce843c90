import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

import { CommandIDs } from '../commands';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const page = read('../../../docs/sidebar.md');
const schema = JSON.parse(read('../../schema/plugin.json')) as {
  properties: object;
  'jupyter.lab.menus': { context: { command?: string }[] };
  'jupyter.lab.shortcuts': { command: string }[];
};

it('names every command and every setting in the documentation', () => {
  const missing = [...Object.values(CommandIDs), ...Object.keys(schema.properties)].filter(
    name => !page.includes(`\`${name}\``)
  );
  expect(missing).toEqual([]);
});

it('has menus and shortcuts of commands that there are', () => {
  const items = [...schema['jupyter.lab.menus'].context, ...schema['jupyter.lab.shortcuts']];
  const ids = new Set<string>(Object.values(CommandIDs));
  expect(items.flatMap(item => item.command ?? []).filter(id => !ids.has(id))).toEqual([]);
});
