import { TranslationBundle } from '@jupyterlab/translation';

import { DispatchRow, Status } from './types';

/** One state, one sign, one colour (a class of `style/base.css`), one word. */
export interface State {
  sign: string;
  colour: 'waiting' | 'running' | 'completed' | 'failed' | 'cancelled' | 'skipped';
  word: string;
}

const ENDED: ReadonlySet<Status> = new Set<Status>([
  'COMPLETED',
  'FAILED',
  'CANCELLED',
  'SKIPPED'
]);

export function hasEnded(row: DispatchRow): boolean {
  return ENDED.has(row.status);
}

export function stateOf(row: DispatchRow, trans: TranslationBundle): State {
  switch (row.status) {
    case 'RUNNING':
      return { sign: '◐', colour: 'running', word: trans.__('running') };
    case 'COMPLETED':
      return row.counts.reused
        ? { sign: '↺', colour: 'completed', word: trans.__('completed, partly reused') }
        : { sign: '✓', colour: 'completed', word: trans.__('completed') };
    case 'FAILED':
      return { sign: '✕', colour: 'failed', word: trans.__('failed') };
    case 'CANCELLED':
      return { sign: '⊘', colour: 'cancelled', word: trans.__('cancelled') };
    case 'SKIPPED':
      return { sign: '⤼', colour: 'skipped', word: trans.__('skipped') };
    case 'DISPATCHING':
      return { sign: '○', colour: 'waiting', word: trans.__('queued') };
    default:
      return { sign: '○', colour: 'waiting', word: trans.__('waiting') };
  }
}
