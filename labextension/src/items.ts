import { daysAgo } from './format';
import { CovalentModel } from './model';
import { shortPaths } from './paths';
import { hasEnded } from './states';
import { DispatchRow } from './types';

/** What the list draws, one below the other. */
export type Item =
  /** `group` is there where it can be opened and closed. */
  | { kind: 'heading'; key: string; title: string; group?: string; count?: number; open?: boolean }
  /** `level` is 1, or more for runs of sublattices; `within` is 1 in a group that can be opened and closed, else 0. */
  | { kind: 'row'; key: string; row: DispatchRow; level: number; within: 0 | 1; children: number }
  /** So many rows of a group (null: of those under way) that were not fetched yet. */
  | { kind: 'gap'; key: string; group: string | null; count: number };

export interface Words {
  running: string;
  today: string;
  yesterday: string;
  noNotebook: string;
}

/** The list, flat: those under way, then those that have ended by day, or by lattice or notebook. */
export function itemsOf(model: CovalentModel, words: Words): Item[] {
  const items: Item[] = [];
  const running = model.rows(model.running.ids);
  if (running.length > 0) {
    items.push({ kind: 'heading', key: '#running', title: words.running });
    running.forEach(row => push(items, model, row, 1));
    gap(items, model, null);
  }
  if (model.grouping === 'day') {
    byDay(items, model, words);
  } else {
    const short = shortPaths(model.grouping === 'notebook' ? model.groups.map(group => group.key) : []);
    for (const group of model.groups) {
      const open = model.isOpen(group.key);
      const title = (short.get(group.key) ?? group.key) || words.noNotebook;
      const count = model.pastTotal(group.key);
      items.push({ kind: 'heading', key: `#group ${group.key}`, title, group: group.key, count, open });
      if (open) {
        model.rows(model.past(group.key).ids).forEach(row => push(items, model, row, 1, 1));
        gap(items, model, group.key);
      }
    }
  }
  return items;
}

/** Ids of the rows, in the order in which they are shown. */
export function orderOf(items: readonly Item[]): string[] {
  return items.flatMap(item => (item.kind === 'row' ? [item.row.dispatch_id] : []));
}

function byDay(items: Item[], model: CovalentModel, words: Words): void {
  const now = model.now();
  let midnight = Infinity; // at which the day of the last heading began
  for (const row of model.rows(model.past('').ids)) {
    if (row.created < midnight) {
      midnight = new Date(row.created * 1000).setHours(0, 0, 0, 0) / 1000;
      const title = day(row.created, now, words);
      items.push({ kind: 'heading', key: `#${title}`, title });
    }
    push(items, model, row, 1);
  }
  gap(items, model, '');
}

function push(items: Item[], model: CovalentModel, row: DispatchRow, level: number, within: 0 | 1 = 0): void {
  const children = model.childCount(row.dispatch_id);
  items.push({ kind: 'row', key: row.dispatch_id, row, level, within, children });
  if (children > 0 && model.isOpen(row.dispatch_id)) {
    model.children(row.dispatch_id).forEach(child => push(items, model, child, level + 1, within));
  }
}

function gap(items: Item[], model: CovalentModel, group: string | null): void {
  const count = group === null ? model.runningTotal - model.running.ids.length : model.pastTotal(group) - model.past(group).ids.length;
  if (count > 0) {
    items.push({ kind: 'gap', key: group === null ? '#gap' : `#gap ${group}`, group, count });
  }
}

function day(seconds: number, now: number, words: Words): string {
  const days = daysAgo(seconds, now);
  if (days <= 0) {
    return words.today;
  }
  return days === 1 ? words.yesterday : new Date(seconds * 1000).toLocaleDateString();
}

/** Heights in units of the font's size: known before anything is drawn, so that nothing jumps. */
export function heightOf(item: Item, font: number): number {
  switch (item.kind) {
    case 'heading':
      return Math.round(1.9 * font);
    case 'row':
      return rowHeight(item.row, font);
    case 'gap':
      return item.count * Math.round((item.group === null ? 3.75 : 3.2) * font);
  }
}

function rowHeight(row: DispatchRow, font: number): number {
  return Math.round((hasEnded(row) ? 3.2 : 3.75) * font);
}
