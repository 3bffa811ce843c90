import * as React from 'react';
import { createRoot } from 'react-dom/client';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { DispatchModel } from '../dispatch';
import { Feed } from '../feed';
import { ElectronRow, Status } from '../types';
import { plainTrans, SurroundingsProvider } from '../views/context';
import { LayoutMemory } from '../page/layout';
import { DispatchView, Layout, lostWords, PageState, USUAL_LAYOUT } from '../views/dispatch';
import { Header } from '../views/header';
import { electron, ID } from './rows';
import { Asked, LoopbackServer, row, Said } from './server';

const PATIENCE = { timeout: 10_000 };

let server: LoopbackServer;
let feed: Feed;
let model: DispatchModel;
let electrons: ElectronRow[];
let pending: object[];
let wake: () => void;
let status: Status;
let total: number;

/** As much of the service as the model asks. */
async function answer({ path, query }: Asked): Promise<Said> {
  const tail = path.replace(/^.*\/covalent\//, '');
  if (tail === 'events') {
    while (pending.length === 0) {
      await new Promise<void>(resolve => (wake = resolve));
    }
    const nothing = { next: null, reset: false, dispatches: [], electrons: [], deleted: [], logs: [] };
    return { body: { seq: 10, ...nothing, ...pending.shift() } };
  }
  if (tail === 'dispatches') {
    return { body: { dispatches: [], seq: 10, total: 0, next: null } };
  }
  const [, id, what] = tail.split('/');
  if (!ID.startsWith(id)) {
    return { status: 404, body: { message: `no dispatch '${id}'; there is none yet` } };
  }
  if (what === 'graph') {
    return {
      body: { nodes: electrons.map(e => [e.node, e.name, e.kind, e.status, null]), edges: [[0, 1, 'data']], inputs: { 1: 'C=0.1' } }
    };
  }
  if (what === 'waiting') {
    return { body: { reasons: ["executor 'dask' starts"] } };
  }
  if (what === 'electrons') {
    const wanted = (query.get('status') ?? '').split(',').filter(Boolean);
    const found = electrons.filter(e => wanted.length === 0 || wanted.includes(e.status));
    const offset = Number(query.get('offset') ?? 0);
    return { body: { electrons: found.slice(offset, offset + Number(query.get('limit'))), total: found.length, seq: 10 } };
  }
  return { body: row(ID, { status, counts: { total }, ended: null }) };
}

function tell(changes: object): void {
  pending.push(changes);
  wake();
}

function asked(what: string): URLSearchParams[] {
  return server.asked.filter(({ path }) => path.endsWith(what)).map(({ query }) => query);
}

beforeEach(async () => {
  [pending, wake, status] = [[], () => undefined, 'RUNNING'];
  electrons = [0, 1, 2].map(node => electron(node));
  total = electrons.length;
  server = new LoopbackServer(answer);
  feed = new Feed(await server.start());
  model = new DispatchModel(feed, '7e05');
});

afterEach(async () => {
  model.dispose();
  feed.dispose();
  await server.stop();
});

it('finds a dispatch by a part of its id, and fetches what is wanted alone', async () => {
  model.start();
  await vi.waitFor(() => expect(model.row?.dispatch_id).toBe(ID), PATIENCE);
  expect(model.id).toBe(ID);
  expect(asked('/electrons')).toHaveLength(0);
  model.want('electrons', 'graph');
  await vi.waitFor(() => expect(model.complete && model.graph).toBeTruthy(), PATIENCE);
  expect(model.inputsOf(1)).toBe('C=0.1');
  expect(model.statusOf(2)).toBe('COMPLETED');
});

it('takes changes in, and of two states the one with the higher number', async () => {
  model.want('electrons');
  model.start();
  await vi.waitFor(() => expect(model.electrons.size).toBe(3), PATIENCE);
  tell({ electrons: [electron(1, { status: 'FAILED', seq: 5 })] });
  await vi.waitFor(() => expect(model.statusOf(1)).toBe('FAILED'), PATIENCE);
  tell({ electrons: [electron(1, { status: 'RUNNING', seq: 4 }), electron(2, { status: 'RUNNING', seq: 4 })] });
  await vi.waitFor(() => expect(model.statusOf(2)).toBe('RUNNING'), PATIENCE);
  expect(model.statusOf(1)).toBe('FAILED');
});

it('fetches a large dispatch in pages, those that tell something first', async () => {
  electrons = Array.from({ length: 1200 }, (_, node) => electron(node, node === 1100 ? { status: 'FAILED' } : {}));
  total = electrons.length;
  model.want('electrons');
  model.start();
  await vi.waitFor(() => expect(model.complete).toBe(true), PATIENCE);
  const queries = asked('/electrons');
  expect(queries[0].get('status')).toContain('FAILED');
  expect(queries.slice(1).map(query => query.get('offset'))).toEqual(['0', '500', '1000']);
  expect(queries.map(query => query.get('pictures'))).toEqual(['false', 'false', 'false', 'false']);
});

it('says of an unknown id what the service says', async () => {
  const other = new DispatchModel(feed, 'ffff');
  other.start();
  await vi.waitFor(() => expect(other.presence).toBe('unknown'), PATIENCE);
  expect(other.problem).toContain("no dispatch 'ffff'");
  other.dispose();
});

it('notices that the dispatch was deleted, and asks no more', async () => {
  model.start();
  await vi.waitFor(() => expect(asked('/events')).toHaveLength(1), PATIENCE);
  tell({ deleted: [ID] });
  await vi.waitFor(() => expect(model.presence).toBe('deleted'), PATIENCE);
  expect(model.row?.dispatch_id).toBe(ID);
});

it('keeps the size of live logs until the electron has ended', async () => {
  electrons[1] = electron(1, { status: 'RUNNING', ended: null });
  model.want('electrons');
  model.start();
  await vi.waitFor(() => expect(model.electrons.size).toBe(3), PATIENCE);
  tell({ logs: [{ dispatch_id: ID, node: 1, attempt: 1, stdout_size: 40, stderr_size: 0, progress: { done: 3, total: 9 } }] });
  await vi.waitFor(() => expect(model.logs.get(1)?.stdout_size).toBe(40), PATIENCE);
  expect(model.electrons.get(1)?.progress).toEqual({ done: 3, total: 9 });
  tell({ electrons: [electron(1, { seq: 7 })] });
  await vi.waitFor(() => expect(model.logs.size).toBe(0), PATIENCE);
});

it('says what a dispatch waits for while nothing of it runs, and asks no longer than that', async () => {
  const place = document.createElement('div');
  const root = createRoot(place);
  const surroundings = { trans: plainTrans, actions: {}, source: feed };
  const header = React.createElement(Header, { model, place: 'page' });
  root.render(React.createElement(SurroundingsProvider, { value: surroundings }, header));
  model.start();
  await vi.waitFor(() => expect(place.textContent).toContain("Waits: executor 'dask' starts"), PATIENCE);
  tell({ dispatches: [row(ID, { status: 'RUNNING', seq: 11, counts: { total, running: 1 }, ended: null })] });
  await vi.waitFor(() => expect(place.textContent).not.toContain('Waits'), PATIENCE);
  const before = asked('/waiting').length;
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  await vi.advanceTimersByTimeAsync(60_000);
  vi.useRealTimers();
  expect(asked('/waiting')).toHaveLength(before);
  root.unmount();
});

it('tells a stopped service from a server that does not answer, also of what has ended', () => {
  const words = (link: Feed['link'], status: Status) =>
    lostWords({ link, row: row(ID, { status }), problem: '' }, plainTrans);
  expect(words('stopped', 'RUNNING')).toBe('The service is stopped. What runs goes on; what waits starts when the service runs again.');
  expect(words('stopped', 'COMPLETED')).toContain('The service is stopped.');
  expect(words('unreachable', 'RUNNING')).toContain('does not answer');
  expect(words('online', 'RUNNING') + words('loading', 'RUNNING')).toBe('');
});

it('gives the keyboard back to where it was when the details are closed', async () => {
  const place = document.createElement('div');
  document.body.append(place);
  const root = createRoot(place);
  const draw = (state: PageState) =>
    root.render(
      React.createElement(
        SurroundingsProvider,
        { value: { trans: plainTrans, actions: {}, source: feed } },
        React.createElement(DispatchView, {
          model, state, onState: draw, layout: { ...USUAL_LAYOUT, width: 500 }, onLayout: (_: Partial<Layout>) => undefined
        })
      )
    );
  model.want('electrons', 'graph');
  model.start();
  draw({ tab: 'electrons', chosen: { dispatch: ID, node: 1 } });
  const side = () => place.querySelector<HTMLElement>('.cv-side');
  const close = await vi.waitFor(() => {
    const found = side()?.querySelector<HTMLElement>('.cv-close');
    expect(found).toBeTruthy();
    return found!;
  }, PATIENCE);
  expect(side()!.style.width).toBe('500px');
  const search = place.querySelector<HTMLElement>('.cv-electrons input')!;
  search.focus();
  close.focus();
  close.click();
  expect(document.activeElement).toBe(search);
  await vi.waitFor(() => expect(side()).toBeNull(), PATIENCE);
  root.unmount();
  place.remove();
});

it('keeps how pages are arranged', async () => {
  const kept = new Map<string, unknown>();
  const state = {
    fetch: async (key: string) => kept.get(key),
    save: async (key: string, value: unknown) => void kept.set(key, value)
  } as any;
  const first = new LayoutMemory(state);
  await first.load();
  expect(first.value).toEqual(USUAL_LAYOUT);
  first.set({ width: 444 });
  first.set({ columns: ['node'] });
  const second = new LayoutMemory(state);
  await second.load();
  expect(second.value).toEqual({ width: 444, columns: ['node'] });
  kept.forEach((_, key) => kept.set(key, { width: 'x', columns: [] }));
  await second.load();
  expect(second.value).toEqual(USUAL_LAYOUT);
});
