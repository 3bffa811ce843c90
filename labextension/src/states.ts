import { DispatchRow, ElectronRow, Status } from './types';

/** Translates: a bundle of JupyterLab's, or anything shaped like one. */
export interface Trans {
  __(message: string, ...args: any[]): string;
  /** The words for one, or those for several. */
  _n(one: string, several: string, count: number, ...args: any[]): string;
}

/** One state, one sign, one colour (a class of `style/base.css` and `style/views.css`), one word. */
export interface State {
  sign: string;
  colour: 'waiting' | 'running' | 'completed' | 'failed' | 'cancelled' | 'skipped';
  word: string;
}

const ENDED: ReadonlySet<Status> = new Set<Status>(['COMPLETED', 'FAILED', 'CANCELLED', 'SKIPPED']);

export function isEnded(status: Status): boolean {
  return ENDED.has(status);
}

/** How a state is shown, of dispatches and electrons alike. */
export function stateFor(status: Status, reused: boolean, trans: Trans): State {
  switch (status) {
    case 'RUNNING':
      return { sign: '◐', colour: 'running', word: trans.__('running') };
    case 'COMPLETED':
      return reused
        ? { sign: '↺', colour: 'completed', word: trans.__('reused') }
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

/** A dispatch of which something was reused is a completed one; how much, its counts say. */
export function dispatchState(row: DispatchRow, trans: Trans): State {
  const state = stateFor(row.status, (row.counts.reused ?? 0) > 0, trans);
  return row.status === 'COMPLETED' && row.counts.reused
    ? { ...state, word: trans.__('completed, partly reused') }
    : state;
}

export function electronState(row: Pick<ElectronRow, 'status' | 'reused'>, trans: Trans): State {
  return stateFor(row.status, row.reused, trans);
}

export function hasEnded(row: Pick<DispatchRow, 'status'>): boolean {
  return isEnded(row.status);
}

/** What running the rest of dispatches that did not complete is called: the same words in every place. */
export function restWords(rows: readonly { status: Status }[], trans: Trans): string {
  return rows.length > 0 && rows.every(row => row.status === 'CANCELLED') ? trans.__('Continue') : trans.__('Run Failed Again');
}
