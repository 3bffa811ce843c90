import { JupyterFrontEnd } from '@jupyterlab/application';
import { Clipboard, Dialog, InputDialog, Notification, showDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { ISignal } from '@lumino/signaling';

import { nameOf, size } from './format';
import { CovalentModel } from './model';
import { askForText, says } from './dialogs';
import { messageOf, post } from './source';
import { hasEnded } from './states';
import { goesWith } from './toasts';
import { Changes, DispatchRow } from './types';

/** Seconds after which a run is not stopped without asking. */
const LONG = 300;
/** So many runs are not started again without asking. */
const MANY = 10;

export type Reuse = 'none' | 'changed' | 'failed';

/** What people do with dispatches: asks where something would be lost, tells what went wrong. */
export class Actions {
  constructor(
    readonly app: JupyterFrontEnd,
    readonly model: CovalentModel,
    /** What the service tells, whoever asked. */
    readonly overheard: ISignal<unknown, Changes>,
    readonly trans: TranslationBundle
  ) {}

  async cancel(rows: DispatchRow[]): Promise<void> {
    const { model, trans } = this;
    const open = rows.filter(row => !hasEnded(row) && !model.isCancelling(row.dispatch_id));
    const old = open.filter(row => model.now() - (row.started ?? row.created) > LONG);
    const [running, finished] = [sum(old, 'running'), sum(old, 'completed')];
    if (running + finished > 0) {
      const title = trans._n('Cancel %2?', 'Cancel %1 dispatches?', open.length, nameOf(open[0]));
      const body = trans.__('Stop %1 running, keep %2 finished? Finished electrons are not run again by Continue.', running, finished);
      if (!(await sure(title, body, trans.__('Stop'), trans.__('Go on')))) {
        return;
      }
    }
    const stopped = await this.each(open, row => model.cancel(row.dispatch_id), row =>
      trans.__('%1 was not cancelled', nameOf(row))
    );
    if (stopped.length > 0) {
      this.offerToContinue(stopped);
    }
  }

  /** Run again: nothing, what has changed, or what has failed. Gives the new ids. */
  async redispatch(rows: DispatchRow[], reuse: Reuse): Promise<string[]> {
    const { model, trans } = this;
    if (rows.length > MANY) {
      const title = trans.__('Run %1 dispatches again?', rows.length);
      if (!(await sure(title, trans.__('Each becomes a new dispatch.'), trans.__('Run'), trans.__('Cancel')))) {
        return [];
      }
    }
    const ids: string[] = [];
    await this.each(
      rows,
      async row => {
        const path = `dispatches/${encodeURIComponent(row.dispatch_id)}/redispatch`;
        const answer = await model.source.request<{ dispatch_id: string }>(path, {}, post({ reuse }));
        ids.push(answer.dispatch_id);
      },
      row => trans.__('%1 was not run again', nameOf(row))
    );
    return ids;
  }

  async delete(rows: DispatchRow[]): Promise<void> {
    const { model, trans } = this;
    const ended = rows.filter(row => hasEnded(row) && row.parent_id === null);
    const dispatch_ids = ended.map(row => row.dispatch_id);
    if (ended.length === 0) {
      return;
    }
    try {
      const would = await model.source.request<{ would_delete: string[]; bytes: number }>(
        'purge', {}, post({ dispatch_ids, dry_run: true })
      );
      const left = rows.length - ended.length;
      const inner = would.would_delete.length - ended.length;
      const body = [
        would.bytes > 0
          ? trans.__('Results, logs and history go for good, and %1 become free.', size(would.bytes))
          : trans.__('Results, logs and history go for good.'),
        inner > 0 ? trans._n('%1 run of a sublattice goes with it.', '%1 runs of sublattices go with them.', inner) : '',
        left > 0 ? trans._n('%1 that has not ended stays.', '%1 that have not ended stay.', left) : ''
      ];
      const title = trans._n('Delete %2?', 'Delete %1 dispatches?', ended.length, nameOf(ended[0]));
      if (await sure(title, body.filter(line => line).join('\n'), trans.__('Delete'), trans.__('Cancel'))) {
        await model.source.request('purge', {}, post({ dispatch_ids }));
        model.say(trans._n('%2 is deleted.', '%1 dispatches are deleted.', ended.length, nameOf(ended[0])));
      }
    } catch (error) {
      Notification.error(trans.__('Nothing was deleted: %1', messageOf(error)));
    }
  }

  async rename(row: DispatchRow, label: string): Promise<void> {
    await this.annotate([row], () => ({ label: label.trim() }));
  }

  /** The same, with a dialog: where the row is not at hand. */
  async askForName(row: DispatchRow): Promise<void> {
    const { trans } = this;
    const { value } = await InputDialog.getText({
      title: trans.__('Rename the dispatch'),
      label: trans.__('Name (empty: the name of its lattice)'),
      text: nameOf(row),
      okLabel: trans.__('Rename')
    });
    if (value !== null) {
      await this.rename(row, value.trim() === row.name ? '' : value);
    }
  }

  /** Without `tags`, asks for them; several dispatches keep those that they do not share. */
  async tag(rows: DispatchRow[], tags?: string[]): Promise<void> {
    if (rows.length === 0) {
      return;
    }
    const shared = rows[0].tags.filter(tag => rows.every(row => row.tags.includes(tag)));
    const given = tags ?? (await this.askForTags(rows, shared));
    if (given) {
      await this.annotate(rows, row => ({
        tags: [...new Set([...row.tags.filter(tag => !shared.includes(tag)), ...given])]
      }));
    }
  }

  /** Without `note`, asks for it. */
  async note(row: DispatchRow, note?: string): Promise<void> {
    const { trans } = this;
    const title = trans.__('Note on %1', nameOf(row));
    const given = note ?? (await askForText(title, row.note, trans.__('Save'), trans.__('Cancel')));
    if (given !== null) {
      await this.annotate([row], () => ({ note: given }));
    }
  }

  copy(rows: DispatchRow[]): void {
    Clipboard.copyToSystem(rows.map(row => row.dispatch_id).join('\n'));
  }

  private async askForTags(rows: DispatchRow[], shared: string[]): Promise<string[] | null> {
    const { trans } = this;
    const answer = await InputDialog.getText({
      title: trans._n('Tags of %2', 'Tags of %1 dispatches', rows.length, nameOf(rows[0])),
      label: trans.__('With commas between them'),
      text: shared.join(', '),
      okLabel: trans.__('Save')
    });
    if (!answer.button.accept) {
      return null;
    }
    const words = (answer.value ?? '').split(',').map(tag => tag.trim().replace(/^#/, ''));
    return [...new Set(words.filter(tag => tag))];
  }

  private async annotate(rows: DispatchRow[], change: (row: DispatchRow) => object): Promise<void> {
    await this.each(
      rows,
      row =>
        this.model.source.request(`dispatches/${encodeURIComponent(row.dispatch_id)}`, {}, post(change(row), 'PATCH')),
      row => this.trans.__('%1 was not changed', nameOf(row))
    );
  }

  private offerToContinue(rows: DispatchRow[]): void {
    const { trans } = this;
    const words = trans._n('%2 is cancelled.', '%1 dispatches are cancelled.', rows.length, nameOf(rows[0]));
    const kept = trans._n('%1 finished electron is kept.', '%1 finished electrons are kept.', sum(rows, 'completed'));
    const told = Notification.info(sum(rows, 'completed') > 0 ? `${words} ${kept}` : words, {
      autoClose: 15_000,
      actions: [
        {
          label: trans.__('Continue'),
          caption: trans.__('Run what was not finished'),
          callback: () => void this.redispatch(rows, 'failed')
        }
      ]
    });
    goesWith(rows.map(row => row.dispatch_id), this.overheard, told, true);
  }

  /** One after the other; gives those with which it went well, and tells of the others, once. */
  private async each(
    rows: DispatchRow[],
    action: (row: DispatchRow) => Promise<unknown>,
    failure: (row: DispatchRow) => string
  ): Promise<DispatchRow[]> {
    const done: DispatchRow[] = [];
    const failed: string[] = [];
    for (const row of rows) {
      try {
        await action(row);
        done.push(row);
      } catch (error) {
        failed.push(`${failure(row)}: ${messageOf(error)}`);
      }
    }
    if (failed.length > 0) {
      const more = failed.length - 1;
      const rest = more > 0 ? ` ${this.trans._n('And %1 more.', 'And %1 more.', more)}` : '';
      Notification.error(`${failed[0]}${rest}`);
    }
    return done;
  }
}

function sum(rows: DispatchRow[], state: 'running' | 'completed'): number {
  return rows.reduce((total, row) => total + (row.counts[state] ?? 0), 0);
}

async function sure(title: string, body: string, accept: string, reject: string): Promise<boolean> {
  const buttons = [Dialog.cancelButton({ label: reject }), Dialog.warnButton({ label: accept })];
  const { button } = await showDialog({ title, body: says(body), buttons, defaultButton: 0 });
  return button.accept;
}
