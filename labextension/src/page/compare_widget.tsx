import { ReactWidget } from '@jupyterlab/ui-components';
import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { covalentIcon } from '../icon';
import { ISource } from '../source';
import { DispatchRow } from '../types';
import { Compare } from '../views/compare';
import { Actions, SurroundingsProvider, useSurroundings, useTrans } from '../views/context';
import { sweptLattice } from '../views/figures';
import { useAnswer } from '../views/hooks';
import { Unanswered } from '../views/pending';
import { Runs } from '../views/runs';

/** Dispatches side by side; of one dispatch or a lattice's name, the table of the lattice's runs. */
export class ComparePage extends ReactWidget {
  constructor(
    readonly source: ISource,
    readonly dispatches: readonly string[],
    readonly lattice: string,
    private readonly trans: TranslationBundle,
    private readonly actions: Actions
  ) {
    super();
    this.id = `covalent-jupyter:compare-${lattice || dispatches.join('-')}`;
    this.addClass('jp-CovalentPage');
    this.title.icon = covalentIcon;
    this.title.closable = true;
    this.title.label =
      dispatches.length > 1
        ? trans.__('Compare %1', dispatches.map(id => id.slice(0, 4)).join(', '))
        : trans.__('Runs of %1', lattice || dispatches[0]?.slice(0, 4) || '');
    this.title.caption = this.title.label;
  }

  protected render(): JSX.Element {
    return (
      <SurroundingsProvider value={{ trans: this.trans, actions: this.actions, source: this.source }}>
        {this.dispatches.length > 1 ? (
          <Compare dispatches={this.dispatches} />
        ) : this.lattice ? (
          <Runs lattice={this.lattice} />
        ) : (
          <RunsLike dispatch={this.dispatches[0] ?? ''} onKnown={this._name} />
        )}
      </SurroundingsProvider>
    );
  }

  /** What is shown is known only once the dispatch is. */
  private readonly _name = (name: string): void => {
    this.title.label = this.title.caption = name;
  };
}

/** Runs of the lattice that a dispatch is of; of a sweep, its own. */
function RunsLike({ dispatch, onKnown }: { dispatch: string; onKnown: (name: string) => void }): JSX.Element {
  const trans = useTrans();
  const { source } = useSurroundings();
  const { data, problem, again } = useAnswer<DispatchRow>(
    () => source.request<DispatchRow>(`dispatches/${encodeURIComponent(dispatch)}`),
    [dispatch]
  );
  const swept = data && sweptLattice(data);
  React.useEffect(() => {
    if (data) {
      onKnown(swept === null ? trans.__('Runs of %1', data.lattice) : trans.__('Sweep of %1', swept));
    }
  }, [data]);
  return data ? (
    <Runs lattice={swept ?? data.lattice} sweep={swept === null ? '' : data.dispatch_id} />
  ) : (
    <div className="jp-CovalentView cv-page">
      <Unanswered problem={problem} again={again}>
        {trans.__('Loading…')}
      </Unanswered>
    </div>
  );
}
