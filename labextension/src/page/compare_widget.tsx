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
import { Empty } from '../views/parts';
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
  }

  protected render(): JSX.Element {
    return (
      <SurroundingsProvider value={{ trans: this.trans, actions: this.actions, source: this.source }}>
        {this.dispatches.length > 1 ? (
          <Compare dispatches={this.dispatches} />
        ) : this.lattice ? (
          <Runs lattice={this.lattice} />
        ) : (
          <RunsLike dispatch={this.dispatches[0] ?? ''} />
        )}
      </SurroundingsProvider>
    );
  }
}

/** Runs of the lattice that a dispatch is of; of a sweep, its own. */
function RunsLike({ dispatch }: { dispatch: string }): JSX.Element {
  const trans = useTrans();
  const { source } = useSurroundings();
  const { data, problem } = useAnswer<DispatchRow>(
    () => source.request<DispatchRow>(`dispatches/${encodeURIComponent(dispatch)}`),
    [dispatch]
  );
  return data ? (
    <Runs lattice={sweptLattice(data) ?? data.lattice} sweep={sweptLattice(data) === null ? '' : data.dispatch_id} />
  ) : (
    <div className="jp-CovalentView cv-page">
      <Empty>{problem || trans.__('Loading…')}</Empty>
    </div>
  );
}
