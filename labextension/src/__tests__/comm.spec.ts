import { deflateSync } from 'node:zlib';

import { afterEach, expect, it, vi } from 'vitest';

import { Bundle } from '../output/bundle';
import { Changes } from '../types';
import { CommSource, WidgetModel } from '../widget/comm';
import { electron, ID } from './rows';
import { row } from './server';

const PATIENCE = { timeout: 10_000 };

/** The page's side of a comm, with a kernel that answers what it is told to. */
class Kernel implements WidgetModel {
  readonly heard: any[] = [];
  private callbacks = new Map<string, Set<(...args: any[]) => void>>();

  constructor(private readonly answer: ((asked: any) => unknown) | null) {}

  get(): unknown {
    return null;
  }

  on(event: string, callback: (...args: any[]) => void): void {
    this.callbacks.set(event, (this.callbacks.get(event) ?? new Set()).add(callback));
  }

  off(event: string, callback: (...args: any[]) => void): void {
    this.callbacks.get(event)?.delete(callback);
  }

  send(content: any): void {
    this.heard.push(content);
    if (content.kind === 'ask' && this.answer) {
      const said = this.answer(content) as any;
      const { status = 200, message, body, next } = said;
      this.say({ kind: 'answer', number: content.number, status, message, next }, body);
    }
  }

  say(content: object, body?: unknown): void {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const packed = body === undefined ? [] : [deflateSync(text)];
    const views = packed.map(data => new DataView(data.buffer, data.byteOffset, data.byteLength));
    this.callbacks.get('msg:custom')?.forEach(callback => callback(content, views));
  }
}

const kept: Bundle = {
  version: 1,
  dispatch_id: ID,
  store_id: '',
  as_of: 5,
  row: row(ID, { name: 'kept' }),
  electrons: [electron(1)],
  graph: null,
  result: null,
  more: 0
};

let source: CommSource | null = null;

function over(kernel: Kernel): CommSource {
  source = new CommSource(kernel, () => kept, 'the kernel is busy');
  return source;
}

afterEach(() => {
  source?.dispose();
  vi.useRealTimers();
});

it('asks its kernel, and reads compressed answers', async () => {
  const kernel = new Kernel(asked => (asked.path.endsWith('stdout') ? { body: 'häppy', next: '6' } : { body: { ok: 1 } }));
  expect(await over(kernel).request('health', { a: 1 })).toEqual({ ok: 1 });
  expect(kernel.heard[0]).toMatchObject({ kind: 'ask', method: 'GET', path: 'health', query: { a: 1 } });
  expect(await source!.text(`dispatches/${ID}/electrons/1/stdout`)).toEqual({ text: 'häppy', next: 6 });
});

it('tells refusals from a service that is away', async () => {
  const kernel = new Kernel(asked => (asked.path === 'a' ? { status: 404, message: 'no a' } : { status: 503, message: 'away' }));
  await expect(over(kernel).request('a')).rejects.toMatchObject({ trouble: 'refused', message: 'no a' });
  await expect(source!.request('b')).rejects.toMatchObject({ trouble: 'starting', message: 'away' });
});

it('passes changes on to those who follow, and says when nobody does', async () => {
  const kernel = new Kernel(null);
  const told: Changes[] = [];
  const following = over(kernel).follow(ID, changes => told.push(changes));
  expect(kernel.heard).toEqual([{ kind: 'follow', dispatch: ID }]);
  await vi.waitFor(() => expect(told[0]?.reset).toBe(true), PATIENCE);
  const changes = { seq: 7, dispatches: [row(ID)], electrons: [electron(2)], deleted: [], logs: [] };
  kernel.say({ kind: 'changes', dispatch: ID, reset: false }, changes);
  kernel.say({ kind: 'changes', dispatch: 'ffff', reset: false }, changes);
  await vi.waitFor(() => expect(told).toHaveLength(2), PATIENCE);
  expect(told[1].electrons[0].node).toBe(2);
  kernel.say({ kind: 'link', link: 'starting', problem: 'it is away' });
  await vi.waitFor(() => expect(source!.link).toBe('starting'), PATIENCE);
  expect(source!.problem).toBe('it is away');
  following.dispose();
  expect(kernel.heard.at(-1)).toEqual({ kind: 'leave', dispatch: ID });
});

it('answers from what was kept while the kernel is busy, and hears it all the same', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const kernel = new Kernel(null);
  const told: Changes[] = [];
  over(kernel).follow(ID, changes => told.push(changes));
  const asked = source!.request<{ name: string }>(`dispatches/${ID}`);
  vi.advanceTimersByTime(2500);
  expect((await asked).name).toBe('kept');
  expect(source!.problem).toBe('the kernel is busy');
  vi.useRealTimers();
  kernel.say({ kind: 'changes', dispatch: ID, reset: false }, { ...kept, seq: 9, dispatches: [row(ID)], deleted: [], logs: [] });
  await vi.waitFor(() => expect(told.at(-1)?.seq).toBe(9), PATIENCE);
  // the late answer: the kernel is there again, and a fresh snapshot is due
  kernel.say({ kind: 'answer', number: kernel.heard.find(h => h.kind === 'ask').number, status: 200 }, {});
  await vi.waitFor(() => expect(told.at(-1)?.reset).toBe(true), PATIENCE);
  expect(source!.problem).toBe('');
});

it('waits for its turn while the kernel answers others', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  const kernel = new Kernel(null);
  const resets: Changes[] = [];
  over(kernel).follow(ID, changes => resets.push(changes));
  const first = source!.text('a');
  const second = source!.request<{ name: string }>(`dispatches/${ID}`);
  vi.advanceTimersByTime(1900);
  const [one, other] = kernel.heard.filter(h => h.kind === 'ask');
  kernel.say({ kind: 'answer', number: one.number, status: 200 });
  await first;
  vi.advanceTimersByTime(1500); // longer than one that nobody answers is waited for
  expect(source!.problem).toBe('');
  kernel.say({ kind: 'answer', number: other.number, status: 200 }, { name: 'live' });
  expect((await second).name).toBe('live');
  expect(resets).toHaveLength(1); // nothing was missed: no snapshot is taken again
  const third = source!.request<{ name: string }>(`dispatches/${ID}`);
  vi.advanceTimersByTime(4500);
  expect((await third).name).toBe('kept');
  expect(source!.problem).toBe('the kernel is busy');
});
