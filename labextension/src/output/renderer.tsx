import { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { ReactWidget } from '@jupyterlab/ui-components';
import { Message } from '@lumino/messaging';
import * as React from 'react';

import { ISource } from '../source';
import { Actions, Trans } from '../views/context';
import { Empty } from '../views/parts';
import { MIME, readBundle } from './bundle';
import type { Memory } from './memory';
import type { NotebookPanel } from './panel';

/** An output of a notebook that is a dispatch. The code of its views is loaded with the first. */
export class DispatchOutput extends ReactWidget implements IRenderMime.IRenderer {
  constructor(
    private readonly feed: ISource,
    private readonly trans: Trans,
    private readonly actionsFor: (memory: Memory) => Actions
  ) {
    super();
    this.addClass('jp-CovalentOutput');
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const bundle = readBundle(model.data[MIME]);
    const [{ Memory }, { NotebookPanel }] = await Promise.all([import('./memory'), import('./panel')]);
    if (this.isDisposed) {
      return;
    }
    this._view = NotebookPanel;
    if (this._memory && bundle && this._memory.bundle.dispatch_id === bundle.dispatch_id) {
      this._memory.renew(bundle);
    } else {
      this._memory?.dispose();
      this._memory = bundle && new Memory(this.feed, bundle);
      this._actions = this._memory ? this.actionsFor(this._memory) : {};
    }
    this.update();
    if (this.isVisible) {
      this._memory?.start();
    }
  }

  dispose(): void {
    this._memory?.dispose();
    super.dispose();
  }

  render(): JSX.Element {
    const View = this._view;
    if (!View) {
      return <div className="jp-CovalentView" />;
    }
    return this._memory ? (
      <View memory={this._memory} trans={this.trans} actions={this._actions} />
    ) : (
      <Empty>{this.trans.__('This output names no dispatch.')}</Empty>
    );
  }

  protected onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this._memory?.start();
  }

  protected onBeforeDetach(msg: Message): void {
    this._memory?.stop();
    super.onBeforeDetach(msg);
  }

  protected onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._memory?.start();
  }

  protected onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this._memory?.stop();
  }

  private _memory: Memory | null = null;
  private _view: typeof NotebookPanel | null = null;
  private _actions: Actions = {};
}
