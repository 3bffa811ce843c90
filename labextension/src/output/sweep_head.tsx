import * as React from 'react';

import { dispatchState, Trans } from '../states';
import { DispatchRow } from '../types';
import { useTrans } from '../views/context';
import { nameOf, sweptLattice } from '../views/figures';
import { useModel } from '../views/hooks';
import { Bar, Sign } from '../views/parts';
import { kindOf, Sweep, wholeOf } from './sweep';

interface Props {
  sweep: Sweep;
  /** Of the dispatch that is shown below. */
  chosen: string;
  onChoose: (id: string) => void;
}

/** What a sweep of several dispatches is as a whole, and the choice which of them is shown below. */
export function SweepHead({ sweep, chosen, onChoose }: Props): JSX.Element | null {
  useModel(sweep);
  const trans = useTrans();
  const { rows, tag } = sweep;
  if (rows.length < 2) {
    return null;
  }
  const whole = wholeOf(rows, tag, trans);
  const newest = rows[rows.length - 1];
  const name = trans.__('sweep of %1', sweptLattice(newest) ?? newest.lattice);
  return (
    <div className="cv-sweep" role="group" aria-label={trans.__('The whole %1', name)}>
      <div className="cv-titleLine">
        <Sign state={dispatchState({ ...newest, status: whole.status, counts: whole.counts }, trans)} />
        <span className="cv-title" title={name}>
          {name}
        </span>
        <span className="cv-mute cv-figures">{whole.words}</span>
      </div>
      <Bar counts={whole.counts} />
      <div className="cv-sweepParts" role="group" aria-label={trans.__('Dispatches of the sweep')}>
        {rows.map(row => (
          <button
            key={row.dispatch_id}
            className="cv-sweepPart"
            aria-pressed={row.dispatch_id === chosen}
            title={[nameOf(row), row.dispatch_id.slice(0, 4), progress(row, trans)].join(' · ')}
            onClick={() => onChoose(row.dispatch_id)}
          >
            <Sign state={dispatchState(row, trans)} /> {partWords(row, tag, trans)}
          </button>
        ))}
      </div>
    </div>
  );
}

function progress(row: DispatchRow, trans: Trans): string {
  const { completed = 0, failed = 0, total = 0 } = row.counts;
  const words = trans.__('%1 of %2 completed', completed, total);
  return failed > 0 ? `${words}, ${trans.__('%1 failed', failed)}` : words;
}

function partWords(row: DispatchRow, tag: string, trans: Trans): string {
  const total = row.counts.total ?? 0;
  switch (kindOf(row, tag)) {
    case 'again':
      return trans.__('%1 again', total);
    case 'more':
      return trans.__('%1 more', total);
    default:
      return trans._n('%1 point', '%1 points', total);
  }
}
