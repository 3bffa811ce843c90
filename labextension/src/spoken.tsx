import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { StateFilter } from './filter';
import { nameOf, reason } from './format';
import { CovalentModel } from './model';
import { dispatchState } from './states';
import { DispatchRow } from './types';

/** Time in which ends are gathered to one sentence, in ms: those of a sweep are none each. */
const GATHERED = 1000;

/** What a screen reader says that is not where the keyboard is: runs that end, what a search has found, what was done. */
export function Spoken({ model, trans }: { model: CovalentModel; trans: TranslationBundle }): JSX.Element {
  const [said, setSaid] = React.useState({ text: '', count: 0 });
  React.useEffect(() => {
    const say = (_: unknown, text: string) => setSaid(before => ({ text, count: before.count + 1 }));
    const onFiltered = () => say(null, foundWords(model, trans));
    let [ended, timer] = [[] as DispatchRow[], 0];
    const onEnded = (_: unknown, row: DispatchRow) => {
      ended.push(row);
      timer ||= window.setTimeout(() => {
        say(null, endedWords(ended, trans));
        [ended, timer] = [[], 0];
      }, GATHERED);
    };
    model.said.connect(say);
    model.filtered.connect(onFiltered);
    model.ended.connect(onEnded);
    return () => {
      window.clearTimeout(timer);
      model.said.disconnect(say);
      model.filtered.disconnect(onFiltered);
      model.ended.disconnect(onEnded);
    };
  }, [model]);
  return (
    <div className="jp-Covalent-spoken" role="status" aria-label={trans.__('News of dispatches')}>
      {/* a new node: the same words twice are said twice */}
      <span key={said.count}>{said.text}</span>
    </div>
  );
}

function foundWords({ totals, filter }: CovalentModel, trans: TranslationBundle): string {
  const count = totals[filter.state];
  return count === 0 ? trans.__('No dispatch matches.') : trans._n('%1 dispatch matches.', '%1 dispatches match.', count);
}

/** Of one dispatch how it ended, of several how many ended how. */
export function endedWords(rows: readonly DispatchRow[], trans: TranslationBundle): string {
  if (rows.length === 1) {
    const [row] = rows;
    const why = row.status === 'FAILED' ? reason(row.error) : '';
    const words = trans.__('%1: %2', nameOf(row), dispatchState(row, trans).word);
    return why ? `${words}, ${why}` : words;
  }
  const counts: Record<Exclude<StateFilter, 'all' | 'running'>, number> = { completed: 0, failed: 0, cancelled: 0 };
  rows.forEach(({ status }) => (counts[status.toLowerCase() as keyof typeof counts] += 1));
  const words = {
    completed: trans.__('%1 completed', counts.completed),
    failed: trans.__('%1 failed', counts.failed),
    cancelled: trans.__('%1 cancelled', counts.cancelled)
  };
  const parts = (['completed', 'failed', 'cancelled'] as const).filter(state => counts[state] > 0).map(state => words[state]);
  return trans.__('%1 dispatches have ended: %2', rows.length, parts.join(', '));
}
