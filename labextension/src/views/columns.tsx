import * as React from 'react';

import { dateAndTime, duration } from '../format';
import { ElectronRow, Graph } from '../types';
import { Trans } from './context';
import { bytes, clockSeconds, spent } from './figures';
import { electronState, isEnded } from '../states';
import { Sign } from './parts';

export interface Column {
  id: string;
  label: string;
  /** CSS grid track. */
  track: string;
  /** What rows are sorted by; undefined comes last. */
  key: (row: ElectronRow, now: number) => number | string | undefined;
  cell: (row: ElectronRow, now: number) => React.ReactNode;
  title?: (row: ElectronRow) => string;
  number?: boolean;
}

/** Columns that are shown until others are chosen. */
export const USUAL = ['state', 'name', 'node', 'inputs', 'executor', 'duration', 'result'];

const ORDER = ['RUNNING', 'FAILED', 'DISPATCHING', 'NEW_OBJECT', 'PENDING_REUSE', 'CANCELLED', 'SKIPPED', 'COMPLETED'];

/** Characters of the longest name and of the longest inputs. */
export interface Lengths {
  name: number;
  inputs: number;
}

const SHORT: Lengths = { name: 8, inputs: 8 };
/** Pixels beyond which no column asks for more. */
const WIDEST = 320;

export function lengthsOf(graph: Graph | null, inputs: (node: number) => string): Lengths {
  const lengths = { ...SHORT };
  for (const [node, name] of graph?.nodes ?? []) {
    lengths.name = Math.max(lengths.name, name.length);
    lengths.inputs = Math.max(lengths.inputs, inputs(node).length);
  }
  return lengths;
}

/** A track for a text of so many pixels, which it gets up to `sure`; of what room there is beyond, its share. */
function trackOf(pixels: number, least: number, sure: number): string {
  const wish = Math.round(Math.max(least, Math.min(WIDEST, pixels)));
  return `minmax(${Math.min(wish, sure)}px, ${wish}fr)`;
}

/** All columns of the table of electrons. Of what a node was given, `inputs` tells it from its siblings; `given` is all. */
export function columnsOf(trans: Trans, inputs: (node: number) => string, given = inputs, lengths = SHORT): Column[] {
  return [
    {
      id: 'state',
      label: trans.__('State'),
      track: '52px',
      key: row => ORDER.indexOf(row.status),
      cell: row => <Sign state={electronState(row, trans)} />,
      title: row => electronState(row, trans).word
    },
    {
      id: 'name',
      label: trans.__('Electron'),
      track: trackOf(7 * lengths.name + 24, 56, 90),
      key: row => row.name.toLowerCase(),
      cell: row => (
        <>
          <span className="cv-strong">{row.name}</span>
          {row.kind === 'sublattice' && <span className="cv-mark"> ▣</span>}
        </>
      ),
      title: row => row.name
    },
    { id: 'node', label: trans.__('Node'), track: '56px', key: row => row.node, cell: row => row.node, number: true },
    {
      id: 'inputs',
      label: trans.__('Inputs'),
      track: trackOf(7.3 * lengths.inputs + 12, 56, 150),
      key: row => inputs(row.node) || undefined,
      cell: row => <span className="cv-mono cv-mute">{inputs(row.node)}</span>,
      title: row => given(row.node)
    },
    {
      id: 'executor',
      label: trans.__('Executor'),
      track: 'minmax(60px, 60fr)',
      key: row => row.executor,
      cell: row => <span className="cv-mute">{row.executor}</span>
    },
    {
      id: 'worker',
      label: trans.__('Worker'),
      track: 'minmax(80px, 110fr)',
      key: row => row.worker,
      cell: row => <span className="cv-mute">{row.worker}</span>,
      title: row => row.worker
    },
    {
      id: 'attempt',
      label: trans.__('Attempt'),
      track: '64px',
      key: row => row.attempt,
      cell: row => row.attempt || '',
      number: true
    },
    {
      id: 'started',
      label: trans.__('Started'),
      track: '76px',
      key: row => row.started ?? undefined,
      cell: row => (row.started === null ? '' : clockSeconds(row.started)),
      title: row => (row.started === null ? '' : dateAndTime(row.started)),
      number: true
    },
    {
      id: 'duration',
      label: trans.__('Duration'),
      track: '74px',
      key: (row, now) => spent(row, now) ?? undefined,
      cell: (row, now) => duration(isEnded(row.status) ? spent(row, now) : wholeSeconds(spent(row, now))),
      number: true
    },
    {
      id: 'memory',
      label: trans.__('Memory'),
      track: '70px',
      key: row => row.rss || undefined,
      cell: row => (row.rss ? bytes(row.rss) : ''),
      number: true
    },
    {
      id: 'result',
      label: trans.__('Result'),
      track: 'minmax(110px, 220fr)',
      key: row => (row.error ? `\uffff${row.error.type}` : (row.preview?.scalar ?? row.preview?.repr ?? undefined) as string),
      cell: row => <Outcome row={row} />,
      title: row => (row.error ? `${row.error.type}: ${row.error.message}` : (row.preview?.repr ?? ''))
    }
  ];
}

/** The error is the first thing said; else the short text of the value. */
function Outcome({ row }: { row: ElectronRow }): JSX.Element | null {
  if (row.error) {
    return (
      <span className="cv-failed">
        {row.error.type}: {row.error.message}
      </span>
    );
  }
  const bar = row.progress;
  if (row.status === 'RUNNING' && typeof bar?.done === 'number') {
    return (
      <span className="cv-mute">{typeof bar.total === 'number' ? `${bar.done} / ${bar.total}` : `${bar.done}`}</span>
    );
  }
  return row.preview ? <span className="cv-mono">{row.preview.repr}</span> : null;
}

/** What runs is told in whole seconds: digits that flicker tell nothing. */
function wholeSeconds(seconds: number | null): number | null {
  return seconds === null ? null : Math.max(1, Math.floor(seconds));
}

export interface Sorting {
  column: string;
  descending: boolean;
}

/** The rows in this order; equal ones by node; rows without a key last, whichever way. */
export function sorted(
  rows: readonly ElectronRow[],
  sorting: Sorting,
  columns: readonly Column[],
  now: number
): ElectronRow[] {
  const column = columns.find(c => c.id === sorting.column);
  const sign = sorting.descending ? -1 : 1;
  const keyed = rows.map(row => ({ row, key: column?.key(row, now) }));
  keyed.sort((a, b) => {
    if (a.key === b.key) {
      return a.row.node - b.row.node;
    }
    if (a.key === undefined || b.key === undefined) {
      return a.key === undefined ? 1 : -1;
    }
    if (typeof a.key === 'number' && typeof b.key === 'number') {
      return sign * (a.key - b.key);
    }
    const [x, y] = [String(a.key), String(b.key)];
    return x === y ? a.row.node - b.row.node : sign * (x < y ? -1 : 1);
  });
  return keyed.map(({ row }) => row);
}
