import { Widget } from '@lumino/widgets';
import { expect, it } from 'vitest';

import { dispatchOf, Subject } from '../subject';

it('is what was used last: the selection in the sidebar, or the page in front', () => {
  document.body.innerHTML = '<div id="jp-main-dock-panel"><button></button></div><div id="palette"><input></div>';
  const panel = new Widget();
  panel.node.innerHTML = '<div tabindex="0"></div>';
  document.body.append(panel.node);
  let front: string | null = 'page';
  const subject = new Subject(panel, () => ['a', 'b'], () => front);
  const focus = (selector: string) => document.querySelector<HTMLElement>(selector)!.focus();
  expect(subject.ids).toEqual(['page']);
  (panel.node.firstElementChild as HTMLElement).focus();
  expect(subject.ids).toEqual(['a', 'b']);
  focus('#palette input'); // a palette is about what was used before it
  expect(subject.ids).toEqual(['a', 'b']);
  focus('#jp-main-dock-panel button');
  expect(subject.ids).toEqual(['page']);
  front = null;
  expect(subject.ids).toEqual(['a', 'b']);
});

it('knows the pages of dispatches', () => {
  const page = Object.assign(new Widget(), { model: { id: '7e05' } });
  expect(dispatchOf(page)).toBeNull();
  page.addClass('jp-CovalentPage');
  expect([dispatchOf(page), dispatchOf(new Widget()), dispatchOf(null)]).toEqual(['7e05', null, null]);
});
