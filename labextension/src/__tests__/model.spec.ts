import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Feed } from '../feed';
import { EVERYTHING, passes } from '../filter';
import { itemsOf } from '../items';
import { CovalentModel } from '../model';
import { LoopbackServer, row } from './server';
import { FakeService } from './service';

const PATIENCE = { timeout: 10_000 };
const WORDS = { running: 'Running', today: 'Today', yesterday: 'Yesterday', noNotebook: 'No notebook' };

let service: FakeService;
let server: LoopbackServer;
let feed: Feed;
let model: CovalentModel;

beforeEach(async () => {
  service = new FakeService();
  server = new LoopbackServer(service.answer);
  feed = new Feed(await server.start());
  model = new CovalentModel(feed);
});

afterEach(async () => {
  model.dispose();
  feed.dispose();
  await server.stop();
});

const until = (condition: () => unknown) => vi.waitFor(() => expect(condition()).toBeTruthy(), PATIENCE);
const items = () => itemsOf(model, WORDS);
const ids = () => items().flatMap(item => (item.kind === 'row' ? [item.row.dispatch_id] : []));
const many = (count: number) => Array.from({ length: count }, (_, i) => row(`x${i}`, { created: i + 1 }));
const running = { status: 'RUNNING', ended: null } as const;

async function online(): Promise<void> {
  model.start();
  await until(() => model.link === 'online');
}

describe('CovalentModel', () => {
  it('lists what is under way first, then newest first, and counts', async () => {
    service.rows = [
      row('old', { created: 1 }),
      row('new', { created: 9, status: 'FAILED' }),
      row('run', { created: 5, ...running })
    ];
    await online();
    expect(ids()).toEqual(['run', 'new', 'old']);
    expect(model.totals).toEqual({ all: 3, running: 1, completed: 1, failed: 1, cancelled: 0 });
  });

  it('takes in changes, moves what has ended, and drops what was deleted', async () => {
    service.rows = [row('a'), row('b')];
    await online();
    const c = { created: 2000, ...running };
    service.rows.push(row('c', { ...c, seq: 11 }));
    service.tell({ seq: 12, dispatches: [row('c', { ...c, seq: 11 })], deleted: ['a'] });
    await until(() => ids().join() === 'c,b');
    expect(items()[0]).toMatchObject({ kind: 'heading', title: 'Running' });
    service.rows[2] = row('c', { created: 2000, seq: 13 });
    service.tell({ seq: 13, dispatches: [service.rows[2]] });
    await until(() => model.running.ids.length === 0);
    expect(ids()).toEqual(['c', 'b']);
    await until(() => model.totals.running === 0);
  });

  /** A change of the service's rows, told at once; nothing is counted by the service meanwhile. */
  function change(rows: ReturnType<typeof row>[], deleted: string[] = []): void {
    service.counting = new Promise(() => undefined);
    service.seq += 1;
    const now = rows.map(changed => ({ ...changed, seq: service.seq }));
    service.rows = [...service.rows.filter(old => !now.some(one => one.dispatch_id === old.dispatch_id)), ...now];
    service.rows = service.rows.filter(one => !deleted.includes(one.dispatch_id));
    service.tell({ seq: service.seq, dispatches: now, deleted });
  }

  it('counts what it shows, before the service has counted anew', async () => {
    service.rows = [row('a', { created: 1 }), row('b', { created: 2, ...running })];
    await online();
    const wrong: unknown[] = [];
    model.changed.connect(() => {
      const { all, running, completed, failed } = model.totals;
      const states = model.rows(ids()).map(found => found.status);
      const of = (status: string) => states.filter(found => found === status).length;
      const shown = [states.length, of('RUNNING'), of('COMPLETED'), of('FAILED')].join();
      if ([all, running, completed, failed].join() !== shown) {
        wrong.push({ totals: model.totals, shown });
      }
    });
    change([row('c', { created: 3, ...running })]);
    await until(() => ids().join() === 'c,b,a');
    change([row('b', { created: 2, status: 'FAILED' })]);
    await until(() => model.totals.failed === 1);
    change([row('d', { created: 4 })]); // began and ended between two questions
    await until(() => ids().join() === 'c,d,b,a');
    change([row('c', { created: 3 })], ['a']);
    await until(() => ids().join() === 'd,c,b');
    expect(wrong).toEqual([]);
    expect(model.totals).toEqual({ all: 3, running: 0, completed: 2, failed: 1, cancelled: 0 });
  });

  it('counts in groups as it counts in all, and no change twice', async () => {
    service.rows = [row('a', { created: 1 }), row('b', { created: 2, lattice: 'fit', ...running })];
    model.setGrouping('lattice');
    await online();
    await until(() => ids().join() === 'b,a');
    const headings = () => items().flatMap(item => (item.kind === 'heading' && item.group ? `${item.group} ${item.count}` : []));
    change([row('b', { created: 2, lattice: 'fit', status: 'FAILED' })]);
    await until(() => headings().join() === 'fit 1,experiment 1');
    model.dispose();
    model = new CovalentModel(feed);
    model.setGrouping('lattice');
    service.counting = Promise.resolve();
    await online();
    service.seq = 30;
    // what it has not itself: its count, which is later, is the last word
    service.tell({ seq: 30, dispatches: [row('c', { created: 3, seq: 30, ...running })] });
    await until(() => model.totals.running === 1);
    await until(() => model.totals.running === 0);
    expect(headings()).toEqual(['fit 1', 'experiment 1']);
  });

  it('never goes back to an older state', async () => {
    service.rows = [row('a', { seq: 5 })];
    await online();
    service.tell({ dispatches: [row('a', { seq: 4, ...running }), row('b', { seq: 6 })] });
    await until(() => ids().includes('b'));
    expect(model.row('a')?.status).toBe('COMPLETED');
  });

  it('nests runs of sublattices under their parents', async () => {
    service.rows = [row('a'), row('a1', { parent_id: 'a', root_id: 'a', parent_node: 1, lattice: 'inner' })];
    service.children = { a: 1 };
    await online();
    expect(ids()).toEqual(['a']);
    model.setOpen('a', true);
    await until(() => ids().length === 2);
    service.tell({ dispatches: [row('a0', { parent_id: 'a', root_id: 'a', parent_node: 0, seq: 12 })] });
    await until(() => ids().length === 3);
    expect(ids()).toEqual(['a', 'a0', 'a1']);
    expect(items().at(-1)).toMatchObject({ level: 2 });
  });

  it('takes a fresh snapshot after a gap', async () => {
    service.rows = [row('a')];
    await online();
    service.rows = [row('b')];
    service.tell({ reset: true });
    await until(() => ids().join() === 'b');
  });

  it('keeps what it has while the service is away', async () => {
    service.rows = [row('a')];
    await online();
    service.down = { status: 503, body: { message: 'waiting for the lock' } };
    server.dropAll();
    await until(() => model.link === 'starting');
    expect(model.problem).toBe('waiting for the lock');
    expect(ids()).toEqual(['a']);
    service.down = null;
    await until(() => model.link === 'online');
    expect(model.problem).toBe('');
  });

  it('searches in the service', async () => {
    service.rows = [...many(300), row('relax1', { name: 'relax', created: -5 })];
    await online();
    model.setFilter({ text: 'relax' });
    await until(() => ids().join() === 'relax1');
    expect(model.totals.all).toBe(1);
    service.tell({ dispatches: [row('other', { seq: 20 }), row('also', { seq: 20, name: 'Relax 2', created: 7 })] });
    await until(() => ids().includes('also'));
    expect(ids()).not.toContain('other');
    model.showAll();
    await until(() => ids().length > 100);
  });

  it('finds by what a row shows, and keeps what the service has found by a sublattice', async () => {
    service.rows = [row('a', { inputs: { C: '5', x: '1' }, name: 'outer' })];
    await online();
    expect(passes(service.rows[0], { ...EVERYTHING, text: 'c=5, X=1' })).toBe(true);
    model.setFilter({ text: 'outer' });
    await until(() => ids().join() === 'a');
    // the service has found it; by its own words it would not be here
    service.tell({ dispatches: [row('a', { seq: 20, name: 'renamed', status: 'FAILED' })] });
    await until(() => model.row('a')?.status === 'FAILED');
    expect(ids()).toEqual(['a']);
  });

  it('filters by every end', async () => {
    service.rows = [row('a'), row('b', { status: 'CANCELLED' }), row('c', { status: 'FAILED' }), row('d', running)];
    await online();
    for (const [state, id] of [['completed', 'a'], ['cancelled', 'b'], ['failed', 'c'], ['running', 'd']] as const) {
      model.setFilter({ state });
      await until(() => ids().join() === id);
    }
    model.setFilter({ state: 'all' });
    model.setGrouping('lattice');
    await until(() => model.groups.length === 1);
    model.setFilter({ state: 'cancelled' });
    await until(() => ids().join() === 'b');
    expect(items().map(item => item.kind === 'heading' && item.count)).toEqual([1, false]);
  });

  it('fetches page by page, and knows how long the list is', async () => {
    service.rows = many(450);
    await online();
    expect(ids()).toHaveLength(200);
    expect(items().at(-1)).toMatchObject({ kind: 'gap', count: 250 });
    await Promise.all([model.more(''), model.more('')]);
    expect(ids()).toHaveLength(400);
    await model.more('');
    expect(ids()).toHaveLength(450);
    expect(items().at(-1)?.kind).toBe('row');
    const asked = server.asked.length;
    await model.more('');
    expect(server.asked.length).toBe(asked);
  });

  it('lists all that are under way, page by page', async () => {
    service.rows = [...many(250).map(one => ({ ...one, ...running })), row('old', { created: 0.5 })];
    await online();
    expect(ids()).toHaveLength(201);
    expect(items()).toContainEqual(expect.objectContaining({ kind: 'gap', group: null, count: 50 }));
    await model.more(null);
    expect(ids()).toHaveLength(251);
    expect(items().filter(item => item.kind === 'gap')).toEqual([]);
    expect([model.totals.running, ids().at(-2), ids().at(-1)]).toEqual([250, 'x0', 'old']);
  });

  it('groups by lattice, fetches the groups that are open, and selects all that they show', async () => {
    service.rows = [...many(250), row('f', { lattice: 'fit', created: 900, status: 'FAILED' })];
    model.setGrouping('lattice');
    await online();
    await until(() => ids().join() === 'f');
    expect(items().map(item => item.kind === 'heading' && [item.title, item.count, item.open])).toEqual([
      ['fit', 1, true], false, ['experiment', 250, false]
    ]);
    model.setOpen('experiment', true);
    await model.more('experiment');
    expect(ids()).toHaveLength(201);
    await model.selectAll();
    expect(model.selection.ids.size).toBe(251);
    model.setFilter({ state: 'failed' });
    await until(() => ids().length === 1);
    expect(items()).toHaveLength(2);
  });

  it('moves nothing while it is held, and shows the new states', async () => {
    service.rows = [row('run', { created: 5, ...running }), row('old', { created: 1 })];
    await online();
    model.hold();
    service.tell({ dispatches: [row('run', { created: 5, seq: 11 }), row('new', { created: 9, seq: 11, ...running })] });
    await until(() => model.row('run')?.status === 'COMPLETED');
    expect(ids()).toEqual(['run', 'old']);
    expect(model.held).toBe(1);
    model.release();
    expect(ids()).toEqual(['new', 'run', 'old']);
    expect(model.held).toBe(0);
  });

  it('cancels, and says so until the dispatch has ended', async () => {
    service.rows = [row('run', running)];
    await online();
    await model.cancel('run');
    expect(service.done).toEqual([{ method: 'POST', path: 'dispatches/run/cancel', body: { nodes: null } }]);
    expect(model.isCancelling('run')).toBe(true);
    service.tell({ dispatches: [row('run', { status: 'CANCELLED', seq: 20 })] });
    await until(() => model.row('run')?.status === 'CANCELLED');
    expect(model.isCancelling('run')).toBe(false);
  });

  it('hands on why a cancel was refused', async () => {
    service.rows = [row('run', running)];
    await online();
    service.down = { status: 409, body: { message: 'it has finished' } };
    await expect(model.cancel('run')).rejects.toThrow('it has finished');
    expect(model.isCancelling('run')).toBe(false);
  });

  it('asks nothing once it was stopped', async () => {
    await online();
    model.stop();
    await vi.waitFor(() => expect(server.open).toBe(0), PATIENCE);
    const before = server.asked.length;
    await new Promise(resolve => setTimeout(resolve, 400));
    expect(server.asked.length).toBe(before);
  });
});

describe('Selection', () => {
  const order = ['a', 'b', 'c', 'd', 'e'];
  const chosen = () => [...model.selection.ids].sort().join('');

  it('is made by clicks', () => {
    const { selection } = model;
    selection.only('b');
    selection.extend('d', order);
    expect(chosen()).toBe('bcd');
    selection.extend('a', order);
    expect(chosen()).toBe('ab');
    selection.toggle('e');
    selection.toggle('b');
    expect(chosen()).toBe('ae');
    expect(selection.active).toBe('b');
    selection.drop(['a', 'b']);
    expect([chosen(), selection.active]).toEqual(['e', null]);
  });

  it('is made by keys', () => {
    const { selection } = model;
    selection.move(1, order, false);
    expect(selection.active).toBe('a');
    selection.move(2, order, true);
    expect(chosen()).toBe('abc');
    selection.move(99, order, false);
    expect(chosen()).toBe('e');
    selection.all(order);
    expect(chosen()).toBe('abcde');
    selection.clear();
    expect([chosen(), selection.active]).toEqual(['', 'e']);
  });
});
