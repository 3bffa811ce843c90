import { Notification } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { ISignal } from '@lumino/signaling';

import { CommandIDs } from './commands';
import { duration, nameOf, reason } from './format';
import { hasEnded } from './states';
import { goesWith } from './toasts';
import { Changes, DispatchRow } from './types';
import { Move, Watcher } from './watcher';

/** Seconds from which a run is a long one. */
const LONG = 60;
/** A dispatch that ended longer ago, in seconds, is no news. */
const OLD = 600;

/** Which dispatches are told of: none, those that ask for it, long ones too, all. */
export type Telling = 'none' | 'asked' | 'long' | 'all';

/** Tells the end, or the first failure, of dispatches: in JupyterLab, and by the browser where that is allowed. */
export class Notifier {
  constructor(
    watcher: Watcher,
    private readonly now: () => number,
    private readonly overheard: ISignal<unknown, Changes>,
    private readonly commands: CommandRegistry,
    private readonly trans: TranslationBundle
  ) {
    watcher.moved.connect(this._onMove, this);
  }

  telling: Telling = 'asked';
  /** Also by the browser, where that is allowed. */
  byBrowser = false;

  private _onMove(_: unknown, { before, after }: Move): void {
    if (!before || hasEnded(before) || this.told.has(after.dispatch_id)) {
      return;
    }
    const ended = hasEnded(after);
    const failed = (after.counts.failed ?? 0) > (before.counts.failed ?? 0) && !ended;
    if ((ended || failed) && this.now() - (after.ended ?? this.now()) < OLD && this.isWanted(after)) {
      this.told.add(after.dispatch_id);
      this.tell(after);
    }
  }

  private isWanted(row: DispatchRow): boolean {
    const failing = row.status === 'FAILED' || (row.counts.failed ?? 0) > 0;
    switch (row.notify ?? '') {
      case 'off':
        return false;
      case 'failure':
        return this.telling !== 'none' && failing;
      case 'end':
        return this.telling !== 'none';
      default:
        return this.telling === 'all' || (this.telling === 'long' && this.took(row) >= LONG);
    }
  }

  private tell(row: DispatchRow): void {
    const { trans } = this;
    const words = this.wordsFor(row);
    const open = {
      label: trans.__('Open'),
      caption: trans.__('Open the page of the dispatch'),
      callback: () => void this.commands.execute(CommandIDs.openDispatch, { dispatch_id: row.dispatch_id })
    };
    const actions = this.commands.hasCommand(CommandIDs.openDispatch) ? [open] : [];
    const bad = row.status === 'FAILED' || !hasEnded(row);
    const told = Notification.emit(words, bad ? 'error' : row.status === 'COMPLETED' ? 'success' : 'info', {
      autoClose: bad ? false : 10_000,
      actions
    });
    goesWith([row.dispatch_id], this.overheard, told);
    if (this.byBrowser && 'Notification' in window && window.Notification.permission === 'granted') {
      const shown = new window.Notification(trans.__('Covalent'), { body: words, tag: row.dispatch_id });
      shown.onclick = () => {
        window.focus();
        actions.forEach(action => action.callback());
      };
    }
  }

  private wordsFor(row: DispatchRow): string {
    const { trans } = this;
    const name = nameOf(row);
    if (!hasEnded(row)) {
      return trans.__('An electron of %1 has failed; the others go on.', name);
    }
    switch (row.status) {
      case 'COMPLETED':
        return trans.__('%1 is completed, after %2.', name, duration(this.took(row)));
      case 'FAILED':
        return trans.__('%1 has failed after %2: %3', name, duration(this.took(row)), reason(row.error));
      default:
        return trans.__('%1 was cancelled after %2.', name, duration(this.took(row)));
    }
  }

  private took(row: DispatchRow): number {
    return (row.ended ?? this.now()) - (row.started ?? row.created);
  }

  private readonly told = new Set<string>();
}
