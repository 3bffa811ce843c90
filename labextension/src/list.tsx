import { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';
import { MessageLoop } from '@lumino/messaging';
import * as React from 'react';

import { CommandIDs } from './commands';
import { groupOf } from './filter';
import { FilterBar } from './filters';
import { idLength } from './format';
import { useChanges, useTick } from './hooks';
import { differences, Telling } from './inputs';
import { heightOf, Item, itemsOf, orderOf, Words } from './items';
import { CovalentModel } from './model';
import { Notice } from './notices';
import { Row, RowActions } from './row';
import { SelectionBar } from './selectionBar';
import { ServiceModel } from './service';
import { Spoken } from './spoken';
import { hasEnded } from './states';
import { DispatchRow } from './types';
import { View } from './view';

export interface ListProps {
  model: CovalentModel;
  service: ServiceModel;
  view: View;
  commands: CommandRegistry;
  trans: TranslationBundle;
}

/** Items before and after those in sight among which neighbours are looked for. */
const NEAR = 50;

/** Height beyond what is seen in which rows are drawn, in px. */
const OVERSCAN = 200;

/** Search, chips, and the dispatches. */
export function Dispatches(props: ListProps): JSX.Element {
  const { model, service, view, trans } = props;
  useChanges(model, service, view);
  const words = React.useMemo(() => wordsOf(trans), [trans]);
  const items = itemsOf(model, words);
  const known = model.totals.all > 0 || items.length > 0 || model.isFiltered;
  return (
    <div className="jp-Covalent-body">
      {known && model.link !== 'missing' && <FilterBar {...props} />}
      {model.link !== 'online' && items.length > 0 && <Notice {...props} brief />}
      {items.length > 0 ? <Tree {...props} items={items} /> : <Notice {...props} />}
      <SelectionBar {...props} />
      <Spoken model={model} trans={trans} />
    </div>
  );
}

function Tree(props: ListProps & { items: Item[] }): JSX.Element {
  const { model, view, commands, trans, items } = props;
  const { selection } = model;
  const node = React.useRef<HTMLDivElement>(null);
  const order = orderOf(items);
  const { offsets, height, first, last, onScroll } = useWindow(node, items);
  useKeptPlace(node, items, offsets);
  useReveal(node, model, items, offsets);
  const length = React.useMemo(() => idLength(order), [`${order.length} ${order[0]} ${order[order.length - 1]}`]);
  const inputs = React.useMemo(() => differences(rowsOf(items.slice(Math.max(0, first - NEAR), last + NEAR))), [
    items,
    first,
    last
  ]);
  const actions = React.useMemo(() => rowActions(model, commands, trans, node), [model, commands]);
  const shown = items.slice(first, last);
  const ticking = shown.some(item => item.kind === 'row' && !hasEnded(item.row));
  useTick(ticking);
  const now = model.now();
  const today = new Date(now * 1000).setHours(0, 0, 0, 0) / 1000;
  React.useEffect(() => {
    const gap = shown.find(item => item.kind === 'gap');
    if (gap?.kind === 'gap') {
      void model.more(gap.group);
    }
  });
  return (
    <div className="jp-Covalent-list" onMouseEnter={() => model.hold()} onMouseLeave={() => model.release()}>
      {model.held > 0 && (
        <div className="jp-Covalent-held">
          <button onClick={() => model.release()}>
            {trans._n('%1 new dispatch', '%1 new dispatches', model.held)}
          </button>
        </div>
      )}
      <div
        ref={node}
        className="jp-Covalent-tree"
        role="tree"
        tabIndex={0}
        aria-label={trans.__('Dispatches')}
        aria-multiselectable
        aria-activedescendant={selection.active ? `jp-Covalent-row-${selection.active}` : undefined}
        onScroll={onScroll}
        onClick={event => onClick(event, model, commands, order)}
        onDoubleClick={event => event.preventDefault()}
        onKeyDown={event => onKey(event, model, order, node.current)}
        onContextMenu={event => onContextMenu(event, model, node.current)}
      >
        <div role="presentation" style={{ height, position: 'relative' }}>
          {shown.map((item, i) => {
            const top = offsets[first + i];
            const style = { top, height: offsets[first + i + 1] - top };
            switch (item.kind) {
              case 'heading': {
                const onStep = (by: 1 | -1) => step(items, first + i, by, model, node.current);
                return <Heading key={item.key} item={item} style={style} model={model} onStep={onStep} />;
              }
              case 'gap':
                return <div key={item.key} className="jp-Covalent-gap" role="presentation" style={style} />;
              case 'row': {
                const id = item.row.dispatch_id;
                return (
                  <Row
                    key={id}
                    row={item.row}
                    level={item.level}
                    within={item.within}
                    children={item.children}
                    open={model.isOpen(id)}
                    selected={selection.has(id)}
                    active={selection.active === id}
                    renaming={model.renaming === id}
                    cancelling={model.isCancelling(id)}
                    idLength={length}
                    inputs={view.showInputs ? inputs.get(id) ?? NONE : NONE}
                    showTags={view.showTags}
                    dated={model.grouping !== 'day' || item.level > 1}
                    today={today}
                    now={hasEnded(item.row) ? 0 : Math.floor(now)}
                    style={style}
                    actions={actions}
                    trans={trans}
                  />
                );
              }
            }
          })}
        </div>
      </div>
    </div>
  );
}

const NONE: readonly Telling[] = [];

function Heading(props: {
  item: Item & { kind: 'heading' };
  style: React.CSSProperties;
  model: CovalentModel;
  /** The keyboard goes to what is shown after (1) or before (-1) it. */
  onStep: (by: 1 | -1) => void;
}): JSX.Element {
  const { item, style, model, onStep } = props;
  const { title, group, open, count } = item;
  if (group === undefined) {
    return (
      <div className="jp-Covalent-heading" role="presentation" style={style}>
        {title}
      </div>
    );
  }
  const Icon = open ? caretDownIcon : caretRightIcon;
  const toggle = () => {
    model.setOpen(group, !open);
    if (!open) {
      void model.more(group);
    }
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.key === 'ArrowDown' || (event.key === 'ArrowRight' && open)) {
      onStep(1);
    } else if (event.key === 'ArrowUp') {
      onStep(-1);
    } else if (event.key === 'ArrowRight' || (event.key === 'ArrowLeft' && open)) {
      toggle();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <button
      className="jp-Covalent-heading"
      role="treeitem"
      aria-level={1}
      aria-expanded={open}
      title={group || title}
      data-key={item.key}
      style={style}
      onKeyDown={onKeyDown}
      onClick={event => {
        event.stopPropagation();
        toggle();
      }}
    >
      <Icon.react tag="span" />
      <span className="jp-Covalent-headingTitle">{title}</span>
      <span className="jp-Covalent-number">{count}</span>
    </button>
  );
}

/** Put the keyboard on the row or the group that comes after (1) or before (-1) an item. */
function step(items: readonly Item[], from: number, by: 1 | -1, model: CovalentModel, list: HTMLElement | null): void {
  for (let at = from + by; at >= 0 && at < items.length; at += by) {
    const item = items[at];
    if (item.kind === 'row') {
      model.selection.only(item.key);
      model.reveal(item.key);
      list?.focus();
      return;
    }
    if (item.kind === 'heading' && item.group !== undefined) {
      focusHeading(item.key, model, list);
      return;
    }
  }
}

/** Put the keyboard on the heading of a group, which may be out of sight. */
function focusHeading(key: string, model: CovalentModel, list: HTMLElement | null): void {
  const headings = () => [...(list?.querySelectorAll<HTMLElement>('.jp-Covalent-heading') ?? [])];
  const focus = () => headings().find(heading => heading.dataset.key === key)?.focus();
  model.reveal(key);
  focus();
  requestAnimationFrame(focus); // it is drawn now
}

function rowsOf(items: readonly Item[]): DispatchRow[] {
  return items.flatMap(item => (item.kind === 'row' ? [item.row] : []));
}

function wordsOf(trans: TranslationBundle): Words {
  return {
    running: trans.__('Running'),
    today: trans.__('Today'),
    yesterday: trans.__('Yesterday'),
    noNotebook: trans.__('No notebook')
  };
}

/** Which items are in sight, and where each lies. */
function useWindow(node: React.RefObject<HTMLDivElement>, items: readonly Item[]) {
  const [sight, setSight] = React.useState({ top: 0, height: 800, font: 13 });
  const look = React.useCallback(() => {
    const found = node.current;
    if (found) {
      const font = parseFloat(getComputedStyle(found).fontSize) || 13;
      const next = { top: found.scrollTop, height: found.clientHeight || 800, font };
      setSight(old => (old.top === next.top && old.height === next.height && old.font === font ? old : next));
    }
  }, []);
  React.useLayoutEffect(() => {
    look();
    if (typeof ResizeObserver === 'undefined' || !node.current) {
      return;
    }
    const observer = new ResizeObserver(look);
    observer.observe(node.current);
    return () => observer.disconnect();
  }, []);
  const offsets = React.useMemo(() => {
    const found = [0];
    items.forEach((item, i) => found.push(found[i] + heightOf(item, sight.font)));
    return found;
  }, [items, sight.font]);
  const first = Math.max(0, place(offsets, sight.top - OVERSCAN));
  const last = Math.min(items.length, place(offsets, sight.top + sight.height + OVERSCAN) + 1);
  return { offsets, height: offsets[items.length] + 12, first, last, onScroll: look };
}

/** Index of the item at a height. */
function place(offsets: readonly number[], y: number): number {
  let [low, high] = [0, offsets.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (offsets[middle] <= y) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

/** What is read stays where it is when rows come or go above it. */
function useKeptPlace(node: React.RefObject<HTMLDivElement>, items: readonly Item[], offsets: readonly number[]): void {
  const before = React.useRef<{ items: readonly Item[]; offsets: readonly number[] }>({ items, offsets });
  React.useLayoutEffect(() => {
    const { items: old, offsets: places } = before.current;
    before.current = { items, offsets };
    const list = node.current;
    if (!list || list.scrollTop === 0 || old === items || old.length === items.length) {
      return;
    }
    const at = place(places, list.scrollTop);
    const now = new Map(items.map((item, i) => [item.key, i]));
    for (let i = at; i < Math.min(old.length, at + 50); i++) {
      const found = old[i].kind === 'row' ? now.get(old[i].key) : undefined;
      if (found !== undefined) {
        list.scrollTop += offsets[found] - places[i];
        return;
      }
    }
  });
}

/** Bring the active row into sight when it has moved, or somebody wants to see it. */
function useReveal(
  node: React.RefObject<HTMLDivElement>,
  model: CovalentModel,
  items: readonly Item[],
  offsets: readonly number[]
): void {
  const current = React.useRef({ items, offsets });
  current.current = { items, offsets };
  React.useEffect(() => {
    const reveal = (_: CovalentModel, id: string) => {
      const { items, offsets } = current.current;
      const at = items.findIndex(item => item.key === id);
      const list = node.current;
      if (at < 0 || !list) {
        return;
      }
      if (offsets[at] < list.scrollTop) {
        list.scrollTop = offsets[at];
      } else if (offsets[at + 1] > list.scrollTop + list.clientHeight) {
        list.scrollTop = offsets[at + 1] - list.clientHeight;
      }
    };
    model.revealed.connect(reveal);
    return () => {
      model.revealed.disconnect(reveal);
    };
  }, [model]);
}

function rowActions(
  model: CovalentModel,
  commands: CommandRegistry,
  trans: TranslationBundle,
  node: React.RefObject<HTMLDivElement>
): RowActions {
  const endRename = () => {
    model.renaming = null;
    node.current?.focus();
  };
  return {
    copyId: async id => {
      await commands.execute(CommandIDs.copyId, { dispatch_id: id });
      model.say(trans.__('Copied: %1', id));
    },
    cancel: id => void commands.execute(CommandIDs.cancel, { dispatch_id: id }),
    toggle: id => model.setOpen(id, !model.isOpen(id)),
    rename: (id, label) => {
      endRename();
      void commands.execute(CommandIDs.rename, { dispatch_id: id, label });
    },
    endRename
  };
}

function rowAt(event: React.SyntheticEvent): string | undefined {
  return (event.target as HTMLElement).closest<HTMLElement>('.jp-Covalent-row')?.dataset.dispatch;
}

function onClick(event: React.MouseEvent, model: CovalentModel, commands: CommandRegistry, order: string[]): void {
  const id = rowAt(event);
  if (id === undefined) {
    return;
  }
  if (event.shiftKey) {
    model.selection.extend(id, order);
  } else if (event.ctrlKey || event.metaKey) {
    model.selection.toggle(id);
  } else {
    model.selection.only(id);
    void open(id, model, commands, event.currentTarget as HTMLElement);
  }
}

/** Open the page of a dispatch; the keyboard stays in the list, where the next arrow key or F2 is meant. */
async function open(id: string, model: CovalentModel, commands: CommandRegistry, list: HTMLElement): Promise<void> {
  if (commands.hasCommand(CommandIDs.openDispatch)) {
    await commands.execute(CommandIDs.openDispatch, { dispatch_id: id });
    MessageLoop.flush(); // the page has been activated now
    if (model.renaming === null) {
      list.focus();
    }
  }
}

/** Where the keyboard goes. What it does (Enter, Delete, F2, ...) are shortcuts, which people may change. */
function onKey(event: React.KeyboardEvent, model: CovalentModel, order: string[], list: HTMLElement | null): void {
  const { selection } = model;
  const page = Math.max(1, Math.floor((list?.clientHeight ?? 400) / 45) - 1);
  const far = order.length;
  const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -far, End: far };
  if (event.target !== event.currentTarget || event.altKey) {
    return;
  }
  const active = selection.active === null ? undefined : model.row(selection.active);
  if (event.key in steps) {
    selection.move(steps[event.key], order, event.shiftKey);
    if (selection.active) {
      model.reveal(selection.active);
    }
  } else if (event.key === 'ArrowRight' && active && model.childCount(active.dispatch_id) > 0) {
    model.setOpen(active.dispatch_id, true);
  } else if (event.key === 'ArrowLeft' && active) {
    if (model.isOpen(active.dispatch_id)) {
      model.setOpen(active.dispatch_id, false);
    } else if (active.parent_id !== null) {
      selection.only(active.parent_id);
      model.reveal(active.parent_id);
    } else if (model.grouping !== 'day' && hasEnded(active)) {
      focusHeading(`#group ${groupOf(active, model.grouping)}`, model, list);
    }
  } else if (event.key === ' ' && active) {
    selection.toggle(active.dispatch_id);
  } else if (event.key === 'Escape') {
    selection.clear();
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}

/** The menu is about what is selected. By the keyboard, it opens at the active row. */
function onContextMenu(event: React.MouseEvent, model: CovalentModel, list: HTMLElement | null): void {
  const { selection } = model;
  if (event.target === list && selection.active !== null) {
    const row = list.querySelector<HTMLElement>('.jp-Covalent-row.jp-mod-active');
    event.preventDefault();
    event.stopPropagation();
    event.nativeEvent.stopImmediatePropagation();
    if (row) {
      const { left, bottom } = row.getBoundingClientRect();
      row.dispatchEvent(
        new MouseEvent('contextmenu', { bubbles: true, cancelable: true, clientX: left + 24, clientY: bottom - 8 })
      );
    }
    return;
  }
  const id = rowAt(event);
  if (id !== undefined && !selection.has(id)) {
    selection.only(id);
  }
}
