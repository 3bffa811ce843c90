import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { Widget } from '@lumino/widgets';
import { afterEach, expect, it, vi } from 'vitest';

import { CommandIDs } from '../commands';
import { restOf } from '../disk';
import { Feed } from '../feed';
import { CovalentModel } from '../model';
import { CovalentPanel } from '../panel';
import { ServiceModel } from '../service';
import { endedWords } from '../spoken';
import { Disk } from '../types';
import { View } from '../view';
import { LoopbackServer, row, Said } from './server';
import { FakeService } from './service';

/** A busy machine takes its time. */
const PATIENCE = { timeout: 10_000 };

let server: LoopbackServer;
let panel: CovalentPanel;
let feed: Feed;
let commands: CommandRegistry;

async function show(answer: LoopbackServer['answer']): Promise<HTMLElement> {
  server = new LoopbackServer(answer);
  feed = new Feed(await server.start());
  const trans = nullTranslator.load('covalent_jupyter');
  commands = new CommandRegistry();
  panel = new CovalentPanel(new CovalentModel(feed), new ServiceModel(feed), new View(), commands, trans);
  Widget.attach(panel, document.body);
  return panel.node;
}

afterEach(async () => {
  panel.dispose();
  feed.dispose();
  await server.stop();
});

function withRows(...rows: FakeService['rows']): LoopbackServer['answer'] {
  const service = new FakeService();
  service.rows = rows;
  return service.answer;
}

const rowsIn = (node: HTMLElement, count: number) =>
  vi.waitFor(() => {
    const found = [...node.querySelectorAll<HTMLElement>('.jp-Covalent-row')];
    expect(found).toHaveLength(count);
    return found;
  }, PATIENCE);

it('draws rows with sign, word, id and the first line of the error, as text', async () => {
  const counts = { total: 34, completed: 18, running: 3, failed: 1 };
  const node = await show(
    withRows(
      row('7e059a13', { status: 'RUNNING', ended: null, counts }),
      row('e5e2aaaa', { status: 'FAILED', name: '<b>relax</b>', error: '\nsplit (3): ValueError: bad\nmore' })
    )
  );
  const [running, failed] = await rowsIn(node, 2);
  expect(running.querySelector('.jp-Covalent-sign')?.getAttribute('aria-label')).toBe('running');
  expect(running.textContent).toContain('18 of 34');
  expect(running.textContent).toContain('1 failed');
  expect(running.querySelector('.jp-Covalent-bar')?.getAttribute('aria-valuenow')).toBe('18');
  expect(running.querySelector('.jp-Covalent-cancel')).not.toBeNull();
  expect(failed.querySelector('.jp-Covalent-name')?.textContent).toBe('<b>relax</b>');
  expect(failed.textContent).toContain('ValueError in split: bad');
  expect(failed.textContent).not.toContain('more');
  expect(failed.querySelector('.jp-Covalent-id')?.textContent).toBe('e5e2');
  expect(failed.querySelector('.jp-Covalent-cancel')).toBeNull();
  expect(failed.getAttribute('aria-label')).toMatch(/^<b>relax<\/b>, failed, ValueError in split: bad, 10 s, /);
  expect(running.getAttribute('aria-label')).toBe('experiment, running, 18 of 34, 1 failed');
});

it('shows the inputs in which runs differ, and tags', async () => {
  const node = await show(
    withRows(
      row('aaaa1111', { created: 9, inputs: { C: '0.1', gamma: '7' }, tags: ['iris', 'paper'] }),
      row('bbbb1111', { created: 8, inputs: { C: '1', gamma: '7' } })
    )
  );
  const [first, second] = await rowsIn(node, 2);
  expect(first.querySelector('.jp-Covalent-inputs')?.textContent).toBe('C=0.1');
  expect(second.querySelector('.jp-Covalent-inputs')?.textContent).toBe('C=1');
  expect(first.querySelector('.jp-Covalent-tags')?.textContent).toBe('#iris #paper');
});

it('draws only what is in sight', async () => {
  const node = await show(withRows(...Array.from({ length: 1000 }, (_, i) => row(`id${i}`, { created: 2000 - i }))));
  await vi.waitFor(() => expect(node.querySelectorAll('.jp-Covalent-row').length).toBeGreaterThan(10), PATIENCE);
  expect(node.querySelectorAll('.jp-Covalent-row').length).toBeLessThan(60);
  expect(node.querySelector('.jp-Covalent-chips')?.textContent).toContain('All 1000');
});

it('is used by the keyboard', async () => {
  const node = await show(withRows(row('aaaa', { created: 3 }), row('bbbb', { created: 2 }), row('cccc', { created: 1 })));
  await rowsIn(node, 3);
  const tree = node.querySelector<HTMLElement>('[role=tree]') as HTMLElement;
  const press = (key: string, more: object = {}) =>
    tree.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...more }));
  const selected = () =>
    [...node.querySelectorAll<HTMLElement>('[aria-selected=true]')].map(found => found.dataset.dispatch);
  press('ArrowDown');
  await vi.waitFor(() => expect(selected()).toEqual(['aaaa']), PATIENCE);
  press('ArrowDown', { shiftKey: true });
  await vi.waitFor(() => expect(selected()).toEqual(['aaaa', 'bbbb']), PATIENCE);
  expect(tree.getAttribute('aria-activedescendant')).toBe('jp-Covalent-row-bbbb');
  press('End');
  await vi.waitFor(() => expect(selected()).toEqual(['cccc']), PATIENCE);
  press('Escape');
  await vi.waitFor(() => expect(selected()).toEqual([]), PATIENCE);
});

it('says what ends and what a search has found, to those who see neither', async () => {
  const service = new FakeService();
  service.rows = [row('aaaa', { status: 'RUNNING', ended: null, created: 2 }), row('bbbb', { created: 1 })];
  const node = await show(service.answer);
  await rowsIn(node, 2);
  const said = node.querySelector<HTMLElement>('.jp-Covalent-spoken')!;
  expect([said.getAttribute('role'), said.textContent]).toEqual(['status', '']);
  service.tell({ dispatches: [row('aaaa', { status: 'FAILED', error: 'split (3): ValueError: bad', created: 2, seq: 11 })] });
  await vi.waitFor(() => expect(said.textContent).toBe('experiment: failed, ValueError in split: bad'), PATIENCE);
  panel.model.setFilter({ text: 'nothing like it' });
  await vi.waitFor(() => expect(said.textContent).toBe('No dispatch matches.'), PATIENCE);
  panel.model.setFilter({ text: '' });
  await vi.waitFor(() => expect(said.textContent).toBe('2 dispatches match.'), PATIENCE);
  const trans = nullTranslator.load('covalent_jupyter');
  const ended = [row('a'), row('b', { status: 'FAILED' }), row('c'), row('d', { status: 'CANCELLED' })];
  expect(endedWords(ended, trans)).toBe('4 dispatches have ended: 2 completed, 1 failed, 1 cancelled');
});

it('goes by keys between rows and the headings of groups', async () => {
  const node = await show(
    withRows(row('aaaa', { created: 3 }), row('bbbb', { created: 2 }), row('cccc', { created: 1, lattice: 'fit', name: 'fit' }))
  );
  await rowsIn(node, 3);
  panel.model.setGrouping('lattice');
  await rowsIn(node, 2);
  const press = (key: string) =>
    document.activeElement!.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
  const at = () => {
    const found = document.activeElement as HTMLElement;
    return found.getAttribute('role') === 'tree' ? panel.model.selection.active : found.dataset.key;
  };
  const levels = [...node.querySelectorAll<HTMLElement>('[role=tree] [role=treeitem]')].map(item => item.getAttribute('aria-level'));
  expect(levels).toEqual(['1', '2', '2', '1']); // two groups, of which the first is open
  node.querySelector<HTMLElement>('[role=tree]')!.focus();
  for (const [key, where] of [
    ['ArrowDown', 'aaaa'], ['ArrowDown', 'bbbb'], ['ArrowLeft', '#group experiment'], ['ArrowDown', 'aaaa'],
    ['ArrowLeft', '#group experiment'], ['ArrowLeft', '#group experiment']
  ]) {
    press(key);
    await vi.waitFor(() => expect(at()).toBe(where), PATIENCE);
  }
  await rowsIn(node, 0); // closed
  for (const [key, where] of [
    ['ArrowDown', '#group fit'], ['ArrowRight', '#group fit'], ['ArrowRight', 'cccc'], ['ArrowLeft', '#group fit'],
    ['ArrowUp', '#group experiment']
  ]) {
    press(key);
    await vi.waitFor(() => expect(at()).toBe(where), PATIENCE);
    await vi.waitFor(() => expect(node.querySelectorAll('.jp-Covalent-row')).toHaveLength(key === 'ArrowDown' ? 0 : 1), PATIENCE);
  }
});

/** A row whose name is being written, in the input that has the focus. */
async function renaming() {
  const node = await show(withRows(row('aaaa')));
  const named = vi.fn();
  commands.addCommand(CommandIDs.rename, { execute: args => named(args) });
  await rowsIn(node, 1);
  panel.model.renaming = 'aaaa';
  const input = await vi.waitFor(() => {
    const found = node.querySelector<HTMLInputElement>('.jp-Covalent-nameInput');
    expect(found).not.toBeNull();
    expect(document.activeElement).toBe(found);
    return found as HTMLInputElement;
  }, PATIENCE);
  return { node, named, input };
}

it('has the keyboard again when a menu is closed, and where the selection was when its actions go', async () => {
  const node = await show(withRows(row('aaaa', { created: 2 }), row('bbbb', { created: 1 })));
  await rowsIn(node, 2);
  for (const label of ['Service, cluster, settings', 'Grouped by day']) {
    const button = node.querySelector<HTMLElement>(`[aria-label="${label}"]`)!;
    button.click();
    const menu = document.querySelector<HTMLElement>('.lm-Menu')!;
    await vi.waitFor(() => expect(document.activeElement).toBe(menu), PATIENCE);
    menu.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', keyCode: 27, bubbles: true }));
    expect(document.querySelector('.lm-Menu')).toBeNull();
    expect(document.activeElement).toBe(button);
  }
  panel.model.selection.all(['aaaa', 'bbbb']);
  const nothing = await vi.waitFor(() => {
    const found = node.querySelector<HTMLElement>('.jp-Covalent-selection [aria-label="Select nothing"]');
    expect(found).not.toBeNull();
    return found!;
  }, PATIENCE);
  nothing.focus();
  nothing.click();
  await vi.waitFor(() => expect(document.activeElement).toBe(node.querySelector('[role=tree]')), PATIENCE);
});

it('has a word and a sign for each state, of which little room shows the sign', async () => {
  const node = await show(withRows(row('aaaa')));
  await rowsIn(node, 1);
  const chips = [...node.querySelectorAll('.jp-Covalent-chips button')];
  expect(chips.map(chip => chip.getAttribute('aria-label'))).toContain('Failed 0');
  expect(chips.map(chip => chip.textContent)).toContain('✕ Failed 0');
});

it('edits a name where it stands', async () => {
  const { node, named, input } = await renaming();
  expect(input.value).toBe('experiment');
  input.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
  await vi.waitFor(() => expect(named).toHaveBeenCalledWith({ dispatch_id: 'aaaa', label: 'experiment' }), PATIENCE);
  await vi.waitFor(() => expect(node.querySelector('.jp-Covalent-nameInput')).toBeNull(), PATIENCE);
});

it('goes on with a name when something else takes the focus, and is done when somebody goes elsewhere', async () => {
  const { node, named, input } = await renaming();
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')!.set!.call(input, 'renamed th');
  input.dispatchEvent(new InputEvent('input', { bubbles: true }));
  node.querySelector<HTMLElement>('[role=tree]')!.focus(); // as a page that has just opened
  await vi.waitFor(() => expect(document.activeElement).toBe(input), PATIENCE);
  expect(named).not.toHaveBeenCalled();
  expect(input.value).toBe('renamed th');
  const tree = node.querySelector<HTMLElement>('[role=tree]')!;
  tree.dispatchEvent(new MouseEvent('pointerdown', { bubbles: true }));
  tree.focus();
  await vi.waitFor(() => expect(named).toHaveBeenCalledWith({ dispatch_id: 'aaaa', label: 'renamed th' }), PATIENCE);
});

it('shows a first example where nothing was dispatched', async () => {
  const node = await show(withRows());
  await vi.waitFor(() => expect(node.textContent).toContain('Nothing was dispatched yet'), PATIENCE);
  expect(node.textContent).toContain('import covalent_jupyter as ct');
  expect(node.textContent).toContain('1.2 GB kept');
});

it('says what to run where the server extension is missing', async () => {
  const node = await show(() => ({ status: 404, body: 'Not Found', foreign: true }));
  await vi.waitFor(() => expect(node.textContent).toContain('jupyter server extension enable covalent_jupyter'), PATIENCE);
  expect(node.querySelector('[role=status]')?.textContent).toBe('server extension missing');
});

it('says that the service is starting', async () => {
  const node = await show(() => ({ status: 503, body: { message: 'waiting for the lock' } }));
  await vi.waitFor(() => expect(node.textContent).toContain('The service is starting'), PATIENCE);
  expect(node.textContent).toContain('waiting for the lock');
});

it('starts a service when it is opened, and says so if that fails', async () => {
  let starts = 0;
  const service = withRows(row('aaaa'));
  let broken: Said | null = { status: 503, body: { message: 'the disk is full' } };
  const node = await show(asked => {
    const looks = asked.query.get('no_start') === '1';
    starts += looks ? 0 : 1;
    return broken ? (looks ? { status: 204, body: '' } : broken) : service(asked);
  });
  await vi.waitFor(() => expect(node.textContent).toContain('the disk is full'), PATIENCE);
  expect(starts).toBe(1);
  broken = null;
  node.querySelector<HTMLElement>('.jp-Covalent-notice button')?.click();
  await rowsIn(node, 1);
});

it('says what the lists of the largest leave out', () => {
  const disk = { total: 9e6, parts: { blobs: 1e6, database: 5e6, log: 2e3, hosts: 0 } } as unknown as Disk;
  const words = restOf(disk, nullTranslator.load('covalent_jupyter'));
  expect(words).toContain("database 5.0 MB, the service's log 2.0 kB.");
  expect(words).not.toContain('hosts');
});
