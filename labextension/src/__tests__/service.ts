import { DispatchRow, Summary } from '../types';
import { Asked, Said } from './server';

const HEALTH = {
  ok: true, version: '0.1.0', pid: 1, store: '/s', store_id: 'i', host: 'h', started: 0, running: 0, seq: 1, problem: '',
  idle_timeout: 1800
};
const ENDED = ['COMPLETED', 'FAILED', 'CANCELLED', 'SKIPPED'];

/** As much of the service as the sidebar asks: rows, counts, and one answer of the feed at a time. */
export class FakeService {
  rows: DispatchRow[] = [];
  children: Record<string, number> = {};
  seq = 10;
  down: Said | null = null;
  /** Until this, it counts nothing. */
  counting: Promise<void> = Promise.resolve();
  /** What was sent to it, besides questions. */
  done: { method: string; path: string; body: unknown }[] = [];

  /** Answer the waiting poll. */
  tell(changes: object): void {
    const nothing = { next: null, reset: false, dispatches: [], electrons: [], deleted: [], logs: [] };
    this.pending.push({ body: { seq: this.seq, ...nothing, ...changes } });
    this.wake();
  }

  answer = async (asked: Asked): Promise<Said> => {
    const path = asked.path.replace(/^.*\/covalent\//, '');
    if (this.down) {
      return this.down;
    }
    if (asked.method !== 'GET') {
      this.done.push({ method: asked.method, path, body: JSON.parse(asked.body || '{}') });
      return { body: {} };
    }
    switch (path) {
      case 'health':
        return { body: HEALTH };
      case 'executors':
        return { body: { executors: [] } };
      case 'disk':
        return { body: { store: '/s', total: 1_200_000_000, parts: {}, free: 1e12, budget: 2e11, dispatches: [], lattices: [] } };
      case 'dispatches':
        return { body: this.list(asked) };
      case 'summary':
        await this.counting;
        return { body: this.summary(asked) };
      case 'events':
        while (this.pending.length === 0) {
          await new Promise<void>(resolve => (this.wake = resolve));
        }
        return this.pending.shift() as Said;
      default:
        return { status: 404, body: { message: `no ${path}` } };
    }
  };

  private matching(asked: Asked): DispatchRow[] {
    const { q, status, lattice, parent } = Object.fromEntries(asked.query);
    return this.rows
      .filter(row => (parent === 'none' ? row.parent_id === null : !parent || row.parent_id === parent))
      .filter(row => !status || status.split(',').includes(row.status))
      .filter(row => !lattice || row.lattice === lattice)
      .filter(row => !q || row.name.includes(q))
      .sort((a, b) => b.created - a.created);
  }

  private list(asked: Asked): object {
    const { limit, before } = Object.fromEntries(asked.query);
    const all = this.matching(asked);
    const from = before ? Number(before) : 0;
    const page = all.slice(from, from + Number(limit));
    const next = from + page.length < all.length ? String(from + page.length) : null;
    return { dispatches: page, seq: this.seq, total: all.length, next, children: this.children };
  }

  private summary(asked: Asked): Summary {
    const states: Record<string, number> = {};
    const groups = new Map<string, DispatchRow[]>();
    for (const row of this.matching(asked)) {
      states[row.status] = (states[row.status] ?? 0) + 1;
      groups.set(row.lattice, [...(groups.get(row.lattice) ?? []), row]);
    }
    const found = [...groups].map(([key, rows]) => ({
      key,
      total: rows.length,
      running: rows.filter(row => !ENDED.includes(row.status)).length,
      failed: rows.filter(row => row.status === 'FAILED').length,
      completed: rows.filter(row => row.status === 'COMPLETED').length,
      cancelled: rows.filter(row => row.status === 'CANCELLED').length,
      newest: rows[0].created
    }));
    return { states, groups: asked.query.get('by') ? found : [], seq: Math.max(this.seq, ...this.rows.map(row => row.seq)) };
  }

  private pending: Said[] = [];
  private wake: () => void = () => undefined;
}
