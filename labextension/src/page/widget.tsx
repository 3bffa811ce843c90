import { ReactWidget } from '@jupyterlab/ui-components';
import { TranslationBundle } from '@jupyterlab/translation';
import { Message } from '@lumino/messaging';
import { ISignal, Signal } from '@lumino/signaling';
import * as React from 'react';

import { DispatchModel } from '../dispatch';
import { covalentIcon } from '../icon';
import { ISource } from '../source';
import { Actions, SurroundingsProvider } from '../views/context';
import { DispatchView, PageState, TAB_IDS, TabId } from '../views/dispatch';
import { nameOf } from '../views/figures';
import { LayoutMemory } from './layout';

/** Ms after which a page that nobody sees follows its dispatch no longer. */
const PATIENCE = 60_000;

/** The page of one dispatch, in the main area. It follows its dispatch while it can be seen. */
export class DispatchPage extends ReactWidget {
  constructor(
    readonly source: ISource,
    dispatch: string,
    private readonly trans: TranslationBundle,
    private readonly actions: Actions,
    private readonly arrangement: LayoutMemory
  ) {
    super();
    this.model = new DispatchModel(source, dispatch);
    this.model.want('graph', 'electrons');
    this.id = pageId(dispatch);
    this.addClass('jp-CovalentPage');
    this.title.icon = covalentIcon;
    this.title.closable = true;
    this.title.label = dispatch.slice(0, 4);
    this.model.changed.connect(this._name, this);
    arrangement.changed.connect(this._draw, this);
  }

  readonly model: DispatchModel;

  get state(): PageState {
    return this._state;
  }

  /** Emitted when another tab or electron was chosen. */
  get stateChanged(): ISignal<this, void> {
    return this._stateChanged;
  }

  /** Show a tab, or an electron; what is not given stays. */
  reveal(part: { node?: number; dispatch?: string; tab?: string }): void {
    const { node, tab } = part;
    this._setState({
      tab: TAB_IDS.includes(tab as TabId) ? (tab as TabId) : this._state.tab,
      chosen: node === undefined ? this._state.chosen : { dispatch: part.dispatch ?? '', node }
    });
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    window.clearTimeout(this._timer);
    this.model.dispose();
    this.arrangement.changed.disconnect(this._draw, this);
    Signal.clearData(this);
    super.dispose();
  }

  protected render(): JSX.Element {
    return (
      <SurroundingsProvider value={{ trans: this.trans, actions: this.actions, source: this.source }}>
        <DispatchView
          model={this.model}
          state={this._state}
          onState={state => this._setState(state)}
          layout={this.arrangement.value}
          onLayout={part => this.arrangement.set(part)}
        />
      </SurroundingsProvider>
    );
  }

  protected onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this._watch();
  }

  protected onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._watch();
  }

  protected onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this._timer = window.setTimeout(() => this.model.stop(), PATIENCE);
  }

  protected onBeforeDetach(msg: Message): void {
    this.model.stop();
    super.onBeforeDetach(msg);
  }

  private _watch(): void {
    window.clearTimeout(this._timer);
    if (this.isVisible) {
      this.model.start();
    }
  }

  private _setState(state: PageState): void {
    this._state = state;
    this._stateChanged.emit();
    this.update();
  }

  private _draw(): void {
    this.update();
  }

  private _name(): void {
    const { row } = this.model;
    if (row) {
      this.title.label = `${nameOf(row)} ${row.dispatch_id.slice(0, 4)}`;
      this.title.caption = `${nameOf(row)}\n${row.dispatch_id}`;
    }
  }

  private readonly _stateChanged = new Signal<this, void>(this);
  private _state: PageState = { tab: 'graph', chosen: null };
  private _timer = 0;
}

export function pageId(dispatch: string): string {
  return `covalent-jupyter:page-${dispatch}`;
}

export { LayoutMemory };
