import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { CovalentModel } from '../model';
import { DispatchRow } from '../types';
import { Asked, LoopbackServer, row, Said } from './server';

const HEALTH = { ok: true, version: '0.1.0', pid: 1, store: '/s', host: 'h', started: 0, running: 0, problem: '' };

/** As much of the service as the model asks: rows, and one answer of the feed at a time. */
class Service {
  rows: DispatchRow[] = [];
  seq = 10;
  down: Said | null = null;

  /** Answer the waiting poll. */
  tell(changes: object): void {
    this.pending.push({ body: { seq: this.seq, next: null, reset: false, dispatches: [], electrons: [], deleted: [], ...changes } });
    this.wake();
  }

  answer = async (asked: Asked): Promise<Said> => {
    const path = asked.path.replace(/^.*\/covalent\//, '');
    if (this.down) {
      return this.down;
    }
    if (path === 'health') {
      return { body: HEALTH };
    }
    if (path === 'dispatches') {
      return { body: this.list(asked) };
    }
    if (path === 'events') {
      while (this.pending.length === 0) {
        await new Promise<void>(resolve => (this.wake = resolve));
      }
      return this.pending.shift() as Said;
    }
    return { body: { cancelled: [] } };
  };

  private list(asked: Asked): object {
    const { q, status, limit, before } = Object.fromEntries(asked.query);
    const all = this.rows
      .filter(r => !status || status.split(',').includes(r.status))
      .filter(r => !q || r.name.includes(q))
      .sort((a, b) => b.created - a.created);
    const from = before ? Number(before) : 0;
    const page = all.slice(from, from + Number(limit));
    const next = from + page.length < all.length ? String(from + page.length) : null;
    return { dispatches: page, seq: this.seq, total: all.length, next };
  }

  private pending: Said[] = [];
  private wake: () => void = () => undefined;
}

let service: Service;
let server: LoopbackServer;
let model: CovalentModel;

beforeEach(async () => {
  service = new Service();
  server = new LoopbackServer(service.answer);
  model = new CovalentModel(await server.start());
});

afterEach(async () => {
  model.dispose();
  await server.stop();
});

function until(condition: () => boolean): Promise<void> {
  return new Promise(resolve => {
    const look = () => {
      if (condition()) {
        model.changed.disconnect(look);
        resolve();
      }
    };
    model.changed.connect(look);
    look();
  });
}

const ids = () => model.visible().map(r => r.dispatch_id);

describe('CovalentModel', () => {
  it('lists what is under way first, then newest first, and counts', async () => {
    service.rows = [
      row('old', { created: 1 }),
      row('new', { created: 9, status: 'FAILED' }),
      row('run', { created: 5, status: 'RUNNING', ended: null })
    ];
    model.start();
    await until(() => model.link === 'online');
    expect(ids()).toEqual(['run', 'new', 'old']);
    expect(model.totals).toEqual({ all: 3, running: 1, failed: 1 });
    expect(model.health?.version).toBe('0.1.0');
  });

  it('takes in changes after the sequence number it has, and drops what was deleted', async () => {
    service.rows = [row('a'), row('b')];
    model.start();
    await until(() => model.link === 'online');
    service.rows.push(row('c', { created: 2000, status: 'RUNNING', ended: null, seq: 11 }));
    service.seq = 12;
    service.tell({ dispatches: [service.rows[2]], deleted: ['a'] });
    await until(() => ids().includes('c'));
    expect(ids()).toEqual(['c', 'b']);
    service.tell({ dispatches: [row('c', { created: 2000, seq: 13 })] });
    await until(() => model.row('c')?.status === 'COMPLETED');
    const asked = server.asked.filter(a => a.path.endsWith('/events')).map(a => a.query.get('after'));
    expect(asked.slice(0, 2)).toEqual(['10', '12']);
  });

  it('never goes back to an older state', async () => {
    service.rows = [row('a', { seq: 5 })];
    model.start();
    await until(() => model.link === 'online');
    service.tell({ dispatches: [row('a', { seq: 4, status: 'RUNNING' }), row('b', { seq: 6 })] });
    await until(() => ids().includes('b'));
    expect(model.row('a')?.status).toBe('COMPLETED');
  });

  it('leaves runs of sublattices to their parents', async () => {
    service.rows = [row('a')];
    model.start();
    await until(() => model.link === 'online');
    service.tell({ dispatches: [row('child', { parent_id: 'a', root_id: 'a' }), row('b')] });
    await until(() => ids().includes('b'));
    expect(ids()).not.toContain('child');
  });

  it('takes a fresh snapshot after a gap', async () => {
    service.rows = [row('a')];
    model.start();
    await until(() => model.link === 'online');
    service.rows = [row('b')];
    service.tell({ reset: true });
    await until(() => ids().includes('b'));
    expect(ids()).toEqual(['b']);
  });

  it('says that the service is starting, and comes back by itself', async () => {
    service.down = { status: 503, body: { message: 'the service is starting' } };
    model.start();
    await until(() => model.link === 'starting');
    expect(model.problem).toBe('the service is starting');
    service.rows = [row('a')];
    service.down = null;
    await until(() => model.link === 'online');
    expect(ids()).toEqual(['a']);
    expect(model.problem).toBe('');
  });

  it('searches what it knows at once, and asks the service for the rest', async () => {
    service.rows = Array.from({ length: 70 }, (_, i) => row(`x${i}`, { created: i }));
    service.rows.push(row('relax1', { name: 'relax', created: -5 }), row('seen', { name: 'relax', created: 500 }));
    model.start();
    await until(() => model.link === 'online');
    expect(model.hasOlder).toBe(true);
    model.setFilter({ text: 'relax' });
    expect(ids()).toEqual(['seen']);
    await until(() => ids().length === 2);
    expect(ids()).toEqual(['seen', 'relax1']);
  });

  it('shows older ones page by page', async () => {
    service.rows = Array.from({ length: 70 }, (_, i) => row(`x${i}`, { created: i }));
    model.start();
    await until(() => model.link === 'online');
    expect(ids().length).toBe(60);
    await model.showOlder();
    expect(ids().length).toBe(70);
    expect(model.hasOlder).toBe(false);
  });

  it('cancels, and says so until the dispatch has ended', async () => {
    service.rows = [row('run', { status: 'RUNNING', ended: null })];
    model.start();
    await until(() => model.link === 'online');
    await model.cancel('run');
    const asked = server.asked.find(a => a.path.endsWith('/dispatches/run/cancel'));
    expect(asked).toMatchObject({ method: 'POST', body: '{"nodes":null}' });
    expect(model.isCancelling('run')).toBe(true);
    service.tell({ dispatches: [row('run', { status: 'CANCELLED', seq: 20 })] });
    await until(() => model.row('run')?.status === 'CANCELLED');
    expect(model.isCancelling('run')).toBe(false);
  });

  it('hands on why a cancel was refused', async () => {
    service.rows = [row('run', { status: 'RUNNING', ended: null })];
    model.start();
    await until(() => model.link === 'online');
    service.down = { status: 409, body: { message: 'it has finished' } };
    await expect(model.cancel('run')).rejects.toThrow('it has finished');
    expect(model.isCancelling('run')).toBe(false);
  });

  it('asks nothing once it was stopped', async () => {
    model.start();
    await until(() => model.link === 'online');
    model.stop();
    const before = server.asked.length;
    service.tell({ dispatches: [row('late')] });
    await new Promise(resolve => setTimeout(resolve, 400));
    expect(server.asked.length).toBe(before);
    expect(ids()).toEqual([]);
  });
});
