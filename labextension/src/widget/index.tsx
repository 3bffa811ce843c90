import * as React from 'react';
import { createRoot } from 'react-dom/client';

import { readBundle } from '../output/bundle';
import { Memory } from '../output/memory';
import { NotebookPanel } from '../output/panel';
import { sanitize } from '../output/sanitize';
import { ISource } from '../source';
import { Actions, plainTrans } from '../views/context';
import { CommSource, WidgetModel } from './comm';

const BUSY = 'The kernel is busy: what was asked of it waits until its cell has ended.';

/** The panel as a widget, for front ends without the labextension: anywidget calls `render`. */
function render({ model, el }: { model: WidgetModel; el: HTMLElement }): () => void {
  const bundle = () => readBundle(model.get('bundle'));
  const first = bundle();
  if (!first) {
    el.textContent = 'This widget names no dispatch.';
    return () => undefined;
  }
  const source = new CommSource(model, () => bundle() ?? first, BUSY);
  let memory = new Memory(source, first);
  const renew = () => {
    const fresh = bundle();
    if (fresh && fresh.dispatch_id === memory.bundle.dispatch_id) {
      memory.renew(fresh);
    } else if (fresh) {
      memory.dispose();
      memory = new Memory(source, fresh);
      draw();
    }
  };
  const look = () => (document.visibilityState === 'hidden' ? memory.stop() : memory.start());
  model.on('change:bundle', renew);
  document.addEventListener('visibilitychange', look);
  el.classList.add('jp-CovalentOutput');
  dress(el);
  const root = createRoot(el);
  const draw = () => {
    const { dispatch_id } = memory.bundle;
    root.render(
      <NotebookPanel key={dispatch_id} memory={memory} trans={plainTrans} actions={actions(memory, source, el)} />
    );
    look();
  };
  draw();
  return () => {
    model.off('change:bundle', renew);
    document.removeEventListener('visibilitychange', look);
    root.unmount();
    memory.dispose();
    source.dispose();
  };
}

/**
 * Without JupyterLab's theme there are no colours to go by: those of the place, by how light it is. In VS Code there are
 * JupyterLab's light ones, whatever its theme, for the widgets that it brings along have them.
 */
function dress(el: HTMLElement): void {
  const style = getComputedStyle(document.documentElement);
  const { classList } = document.body;
  const vscode = [...classList].some(name => name.startsWith('vscode-'));
  if (!vscode && style.getPropertyValue('--jp-layout-color1').trim()) {
    return;
  }
  const dark =
    classList.contains('vscode-dark') ||
    (classList.contains('vscode-high-contrast') && !classList.contains('vscode-high-contrast-light')) ||
    document.documentElement.getAttribute('theme') === 'dark' ||
    (!vscode && window.matchMedia('(prefers-color-scheme: dark)').matches);
  el.classList.add('jp-CovalentForeign', dark ? 'jp-mod-dark' : 'jp-mod-light');
}

function actions(memory: Memory, source: ISource, el: HTMLElement): Actions {
  return {
    cancel: async (id, nodes) => {
      const body = JSON.stringify({ nodes: nodes ?? null });
      await source.request(`dispatches/${id}/cancel`, {}, { method: 'POST', body });
    },
    redispatch: (id, reuse) => memory.redispatch(id, reuse),
    copy: text => navigator.clipboard.writeText(text),
    sanitize,
    complain: message => {
      const line = document.createElement('div');
      line.setAttribute('role', 'alert');
      line.className = 'cv-complaint';
      line.textContent = message;
      el.appendChild(line);
      window.setTimeout(() => line.remove(), 8000);
    }
  };
}

export default { render };
