import { afterEach, expect, it, vi } from 'vitest';

import { Bundle } from '../output/bundle';
import widget from '../widget';
import { ID } from './rows';
import { row } from './server';

const OTHER = '99990000-0000-4000-8000-000000000000';

/** A model whose kernel is busy: it answers nothing. */
class Model {
  constructor(public bundle: Bundle) {}

  get(): unknown {
    return this.bundle;
  }

  on(event: string, callback: () => void): void {
    this.callbacks.set(event, callback);
  }

  off(event: string): void {
    this.callbacks.delete(event);
  }

  send(content: any): void {
    this.heard.push(content);
  }

  change(bundle: Bundle): void {
    this.bundle = bundle;
    this.callbacks.get('change:bundle')?.();
  }

  readonly heard: any[] = [];
  private readonly callbacks = new Map<string, () => void>();
}

function kept(id: string, name: string): Bundle {
  const one = row(id, { name, label: name, status: 'COMPLETED', ended: 5 });
  return { version: 1, dispatch_id: id, store_id: '', as_of: 5, row: one, electrons: [], graph: null, result: null, more: 0 };
}

function draw(model: Model): HTMLElement {
  const el = document.createElement('div');
  document.body.appendChild(el);
  close = widget.render({ model, el });
  return el;
}

let close = () => undefined as void;

afterEach(() => {
  close();
  document.body.className = '';
  document.body.textContent = '';
  document.documentElement.removeAttribute('style');
});

it('shows another dispatch in the same place when its kernel turns to one', async () => {
  const model = new Model(kept(ID, 'first'));
  const el = draw(model);
  await vi.waitFor(() => expect(el.textContent).toContain('first'));
  model.change(kept(OTHER, 'second'));
  await vi.waitFor(() => expect(el.textContent).toContain('second'));
  expect(el.textContent).not.toContain('first');
  const asked = () => model.heard.map(said => said.path ?? '');
  await vi.waitFor(() => expect(asked().some(path => path.includes(OTHER))).toBe(true));
});

it('takes the colours of VS Code, where light ones of JupyterLab are there as well', () => {
  document.documentElement.style.setProperty('--jp-layout-color1', 'white');
  const dressed = (theme: string) => {
    document.body.className = theme;
    const { classList } = draw(new Model(kept(ID, 'one')));
    close();
    return [classList.contains('jp-CovalentForeign'), classList.contains('jp-mod-dark')];
  };
  expect(dressed('vscode-dark')).toEqual([true, true]);
  expect(dressed('vscode-light')).toEqual([true, false]);
  expect(dressed('vscode-high-contrast')).toEqual([true, true]);
  expect(dressed('vscode-high-contrast vscode-high-contrast-light')).toEqual([true, false]);
  expect(dressed('')).toEqual([false, false]);
});
