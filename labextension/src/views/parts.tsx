import * as React from 'react';

import { Counts } from '../types';
import { useActions, useTrans } from './context';
import { State } from '../states';

/** The sign of a state; screen readers hear its word. */
export function Sign({ state }: { state: State }): JSX.Element {
  return (
    <span className={`cv-sign cv-${state.colour}`} role="img" aria-label={state.word} title={state.word}>
      {state.sign}
    </span>
  );
}

/** Of a segment of a bar, in px: few of very many are seen too. */
const LEAST = 4;

/** Segments completed, running, failed; the rest is empty. Where there are no electrons there is no bar, but its room. */
export function Bar({ counts }: { counts: Counts }): JSX.Element {
  const trans = useTrans();
  const total = counts.total ?? 0;
  if (total === 0) {
    return <div className="cv-bar cv-barless" />;
  }
  const completed = counts.completed ?? 0;
  const running = counts.running ?? 0;
  const failed = counts.failed ?? 0;
  const width = (n: number) => ({ width: `${(100 * n) / total}%`, minWidth: n > 0 ? LEAST : 0 });
  return (
    <div
      className="cv-bar"
      role="progressbar"
      aria-valuemin={0}
      aria-valuemax={total}
      aria-valuenow={completed}
      aria-label={trans.__('%1 of %2 electrons completed', completed, total)}
      title={trans.__('%1 completed, %2 running, %3 failed, of %4', completed, running, failed, total)}
    >
      <i className="cv-completed" style={width(completed)} />
      <i className="cv-running" style={width(running)} />
      <i className="cv-failed" style={width(failed)} />
    </div>
  );
}

/** Four characters of an id; a click copies the whole. */
export function IdButton({ id, length = 4 }: { id: string; length?: number }): JSX.Element {
  const trans = useTrans();
  const { copy } = useActions();
  const [copied, setCopied] = React.useState(false);
  if (!copy) {
    return (
      <span className="cv-id" title={id}>
        {id.slice(0, length)}
      </span>
    );
  }
  const take = async () => {
    await copy(id);
    setCopied(true);
  };
  return (
    <button
      className="cv-id"
      title={copied ? trans.__('Copied: %1', id) : trans.__('Copy %1', id)}
      onClick={() => void take()}
      onBlur={() => setCopied(false)}
      onMouseLeave={() => setCopied(false)}
    >
      {id.slice(0, length)}
      {copied && <span className="cv-copied">{trans.__('copied')}</span>}
    </button>
  );
}

interface ButtonProps {
  children: React.ReactNode;
  title?: string;
  label?: string;
  disabled?: boolean;
  pressed?: boolean;
  quiet?: boolean;
  onClick: () => unknown;
}

/** A button; while what it started goes on, it cannot be pressed again. */
export function Button({ children, title, label, disabled, pressed, quiet, onClick }: ButtonProps): JSX.Element {
  const { complain } = useActions();
  const [busy, setBusy] = React.useState(false);
  const press = async () => {
    setBusy(true);
    try {
      await onClick();
    } catch (error) {
      complain?.(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <button
      className={quiet ? 'cv-quiet' : 'cv-button'}
      title={title}
      aria-label={label}
      aria-pressed={pressed}
      disabled={disabled || busy}
      onClick={() => void press()}
    >
      {children}
    </button>
  );
}

/** Copies a text, and says so. */
export function CopyButton({ text, children }: { text: string; children?: React.ReactNode }): JSX.Element | null {
  const trans = useTrans();
  const { copy } = useActions();
  const [copied, setCopied] = React.useState(false);
  if (!copy) {
    return null;
  }
  const take = async () => {
    await copy(text);
    setCopied(true);
  };
  return (
    <button className="cv-button" onClick={() => void take()} onBlur={() => setCopied(false)}>
      {copied ? trans.__('Copied') : (children ?? trans.__('Copy'))}
    </button>
  );
}

/** Code or output, as it is: text, never markup. */
export function Code({ text, label }: { text: string; label?: string }): JSX.Element {
  return (
    <pre className="cv-code" tabIndex={0} aria-label={label}>
      {text}
    </pre>
  );
}

/** Where there is nothing to show: why, and what to do. */
export function Empty({ children }: { children: React.ReactNode }): JSX.Element {
  return (
    <div className="cv-empty" role="status">
      {children}
    </div>
  );
}

interface MenuItem {
  label: string;
  title?: string;
  run: () => unknown;
}

/** A button with a menu below it: arrow keys, Escape, a click elsewhere closes it. */
export function MenuButton({ label, title, items }: { label: React.ReactNode; title: string; items: MenuItem[] }): JSX.Element | null {
  const { complain } = useActions();
  const [open, setOpen] = React.useState(false);
  const box = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    if (!open) {
      return;
    }
    box.current?.querySelector<HTMLElement>('[role=menuitem]')?.focus();
    const elsewhere = (event: MouseEvent) => {
      if (!box.current?.contains(event.target as Node)) {
        setOpen(false);
      }
    };
    document.addEventListener('mousedown', elsewhere);
    return () => document.removeEventListener('mousedown', elsewhere);
  }, [open]);
  if (items.length === 0) {
    return null;
  }
  const close = () => {
    setOpen(false);
    box.current?.querySelector('button')?.focus();
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === 'Tab') {
      setOpen(false);
      return;
    } else if (event.key === 'Escape') {
      close();
    } else if (step) {
      const all = [...(box.current?.querySelectorAll<HTMLElement>('[role=menuitem]') ?? [])];
      const next = all.indexOf(document.activeElement as HTMLElement) + step;
      all[(next + all.length) % all.length]?.focus();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const choose = async (item: MenuItem) => {
    close();
    try {
      await item.run();
    } catch (error) {
      complain?.(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <div className="cv-menuBox" ref={box} onKeyDown={onKeyDown}>
      <button
        className="cv-button"
        title={title}
        aria-label={title}
        aria-haspopup="menu"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        {label}
      </button>
      {open && (
        <div className="cv-menu" role="menu" aria-label={title}>
          {items.map(item => (
            <button key={item.label} role="menuitem" tabIndex={-1} title={item.title} onClick={() => void choose(item)}>
              {item.label}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
