import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Feed } from '../feed';
import { Changes, ElectronRow } from '../types';
import { Asked, LoopbackServer, row, Said } from './server';

const PATIENCE = { timeout: 10_000 };

let server: LoopbackServer;
let feed: Feed;
let seq: number;
let down: Said | null;
let pending: object[];
let wake: () => void;
/** What starting the service comes to, in time. */
let starting: Promise<Said | null> | null;

/** As much of the service as the feed asks: where the log stands, and one answer of the feed at a time. */
async function answer(asked: Asked): Promise<Said> {
  const started = asked.path.endsWith('/health') ? await starting : null;
  if (started) {
    return started;
  }
  if (down) {
    return down;
  }
  if (asked.path.endsWith('/dispatches')) {
    return { body: { dispatches: [], seq, total: 0, next: null } };
  }
  if (!asked.path.endsWith('/events')) {
    return { body: { path: asked.path } };
  }
  while (pending.length === 0) {
    await new Promise<void>(resolve => (wake = resolve));
  }
  const nothing = { next: null, reset: false, dispatches: [], electrons: [], deleted: [], logs: [] };
  return { body: { seq, ...nothing, ...pending.shift() } };
}

function tell(changes: object): void {
  pending.push(changes);
  wake();
}

function questions(): URLSearchParams[] {
  return server.asked.filter(asked => asked.path.endsWith('/events')).map(asked => asked.query);
}

function electron(dispatch_id: string, node: number): ElectronRow {
  return { dispatch_id, node, status: 'RUNNING', seq: 1 } as ElectronRow;
}

function hide(hidden: boolean): void {
  const state = hidden ? 'hidden' : 'visible';
  Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}

beforeEach(async () => {
  [seq, down, pending, wake, starting] = [10, null, [], () => undefined, null];
  server = new LoopbackServer(answer);
  feed = new Feed(await server.start());
});

afterEach(async () => {
  hide(false);
  feed.dispose();
  await server.stop();
});

describe('Feed', () => {
  it('asks nothing while nobody follows', async () => {
    expect(feed.link).toBe('loading');
    await feed.request('health');
    expect(server.asked).toHaveLength(1);
  });

  it('begins with a reset, then tells each follower what concerns it, by one question at a time', async () => {
    const heard: Record<string, Changes[]> = { all: [], a: [], b: [] };
    feed.follow(null, changes => heard.all.push(changes));
    feed.follow('a', changes => heard.a.push(changes));
    feed.follow('b', changes => heard.b.push(changes));
    await vi.waitFor(() => expect(questions()).toHaveLength(1), PATIENCE);
    expect(heard.all[0]).toMatchObject({ reset: true, seq: 10 });
    expect(questions()[0].get('after')).toBe('10');
    expect(questions()[0].get('electrons_of')).toBe('a,b');
    expect(questions()[0].get('no_track_activity')).toBe('1');
    tell({
      seq: 12,
      dispatches: [row('a'), row('a-child', { parent_id: 'a', root_id: 'a' }), row('c')],
      electrons: [electron('a', 3)],
      logs: [{ dispatch_id: 'b', node: 0, attempt: 1, stdout_size: 5, stderr_size: 0 }]
    });
    await vi.waitFor(() => expect(heard.b).toHaveLength(2), PATIENCE);
    expect(heard.all[1].dispatches.map(r => r.dispatch_id)).toEqual(['a', 'a-child', 'c']);
    expect(heard.all[1].electrons).toEqual([]);
    expect(heard.a[1].dispatches.map(r => r.dispatch_id)).toEqual(['a', 'a-child']);
    expect(heard.a[1].electrons.map(e => e.node)).toEqual([3]);
    expect(heard.b[1].logs).toHaveLength(1);
    await vi.waitFor(() => expect(questions()).toHaveLength(2), PATIENCE);
    expect(questions()[1].get('after')).toBe('12');
    expect(feed.link).toBe('online');
  });

  it('asks at once for what a newcomer needs, and has only the newcomer take a snapshot', async () => {
    const first: Changes[] = [];
    const second: Changes[] = [];
    feed.follow(null, changes => first.push(changes));
    await vi.waitFor(() => expect(questions()).toHaveLength(1), PATIENCE);
    expect(questions()[0].get('electrons')).toBe('false');
    const end = feed.follow('a', changes => second.push(changes));
    await vi.waitFor(() => expect(questions()).toHaveLength(2), PATIENCE);
    expect(questions()[1].get('electrons_of')).toBe('a');
    expect(second).toHaveLength(1);
    expect(first).toHaveLength(1);
    end.dispose();
    await vi.waitFor(() => expect(questions()).toHaveLength(3), PATIENCE);
    expect(questions()[2].get('electrons_of')).toBeNull();
  });

  it('goes on at once where an answer was only a part', async () => {
    feed.follow(null, () => undefined);
    await vi.waitFor(() => expect(questions()).toHaveLength(1), PATIENCE);
    tell({ seq: 30, next: 20 });
    await vi.waitFor(() => expect(questions()).toHaveLength(2), PATIENCE);
    expect(questions()[1].get('after')).toBe('20');
  });

  it('has everybody take a snapshot after a gap', async () => {
    const heard: Changes[] = [];
    feed.follow(null, changes => heard.push(changes));
    await vi.waitFor(() => expect(questions()).toHaveLength(1), PATIENCE);
    tell({ seq: 99, reset: true });
    await vi.waitFor(() => expect(questions()).toHaveLength(2), PATIENCE);
    expect(heard.map(changes => changes.reset)).toEqual([true, true]);
    expect(questions()[1].get('after')).toBe('99');
  });

  it('says that the service is starting, and goes on where it was once it is back', async () => {
    const heard: Changes[] = [];
    feed.follow(null, changes => heard.push(changes));
    await vi.waitFor(() => expect(questions()).toHaveLength(1), PATIENCE);
    down = { status: 503, body: { message: 'waiting for the lock' } };
    server.dropAll();
    await vi.waitFor(() => expect(feed.link).toBe('starting'), PATIENCE);
    expect(feed.problem).toBe('waiting for the lock');
    down = null;
    await vi.waitFor(() => expect(feed.link).toBe('online'), PATIENCE);
    expect(feed.problem).toBe('');
    await vi.waitFor(() => expect(questions().at(-1)?.get('after')).toBe('10'), PATIENCE);
    expect(heard).toHaveLength(1);
  });

  it('says that the service is starting from when that was asked for until it is there, or will not come', async () => {
    down = { status: 204, body: '' };
    feed.follow(null, () => undefined);
    await vi.waitFor(() => expect(feed.link).toBe('stopped'), PATIENCE);
    for (const outcome of [{ status: 503, body: { message: 'no room' } }, null]) {
      let settle: () => void = () => undefined;
      starting = new Promise<void>(resolve => (settle = resolve)).then(() => (outcome === null ? null : outcome));
      const started = feed.start();
      expect(feed.link).toBe('starting');
      const before = server.asked.length;
      feed.refresh(); // another question that finds none yet
      await vi.waitFor(() => expect(server.asked.length).toBeGreaterThan(before + 1), PATIENCE);
      await vi.waitFor(() => expect(server.open).toBe(1), PATIENCE);
      expect(feed.link).toBe('starting');
      down = outcome === null ? null : down;
      settle();
      await (outcome === null ? started : expect(started).rejects.toThrow('no room'));
      await vi.waitFor(() => expect(feed.link).toBe(outcome === null ? 'online' : 'stopped'), PATIENCE);
    }
  });

  it('takes snapshots again where the store that comes back has less in it', async () => {
    const heard: Changes[] = [];
    feed.follow(null, changes => heard.push(changes));
    await vi.waitFor(() => expect(questions()).toHaveLength(1), PATIENCE);
    seq = 3;
    server.dropAll();
    await vi.waitFor(() => expect(heard).toHaveLength(2), PATIENCE);
    expect(heard[1]).toMatchObject({ reset: true, seq: 3 });
  });

  it('is silent while the page is hidden', async () => {
    feed.follow(null, () => undefined);
    await vi.waitFor(() => expect(questions()).toHaveLength(1), PATIENCE);
    hide(true);
    await vi.waitFor(() => expect(server.open).toBe(0), PATIENCE);
    const before = server.asked.length;
    feed.follow('a', () => undefined);
    await new Promise(resolve => setTimeout(resolve, 50));
    expect(server.asked).toHaveLength(before);
    hide(false);
    await vi.waitFor(() => expect(questions()).toHaveLength(2), PATIENCE);
    expect(questions()[1].get('electrons_of')).toBe('a');
  });

  it('is overheard by those who need no connection of their own', async () => {
    const heard: Changes[] = [];
    feed.overheard.connect((_, changes) => heard.push(changes));
    feed.follow('a', () => undefined);
    await vi.waitFor(() => expect(questions()).toHaveLength(1), PATIENCE);
    tell({ seq: 12, dispatches: [row('z')] });
    await vi.waitFor(() => expect(heard).toHaveLength(1), PATIENCE);
    expect(heard[0].dispatches[0].dispatch_id).toBe('z');
  });
});
