import { PageConfig } from '@jupyterlab/coreutils';

/** The folder on the server below which its files lie, "" where that is not known. Our server extension tells it. */
function serverRoot(): string {
  return PageConfig.getOption('covalentRoot').replace(/\/+$/, '');
}

/** The whole path of a file of the server, as kernels record it; the given one where the server's root is not known. */
export function wholePath(path: string, root = serverRoot()): string {
  const plain = path.replace(/^[^/:]+:/, ''); // "RTC:work.ipynb": of a drive that shows the same files
  return plain && root && !plain.startsWith('/') ? `${root}/${plain}` : plain;
}

/** Whether a recorded path is that of this notebook. Where but the end of it is known, ends count. */
export function isSameNotebook(recorded: string, notebook: string): boolean {
  return recorded === notebook || (!notebook.startsWith('/') && recorded.endsWith(`/${notebook}`));
}

/** Each path by its file's name, and by as many of its folders as tell it from others with that name. */
export function shortPaths(paths: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  let open = [...new Set(paths)];
  for (let length = 1; open.length > 0; length++) {
    const tails = new Map<string, string[]>();
    for (const path of open) {
      const tail = path.split('/').slice(-length).join('/');
      tails.set(tail, [...(tails.get(tail) ?? []), path]);
    }
    open = [];
    for (const [tail, those] of tails) {
      const more = those.filter(path => path !== tail);
      if (those.length === 1 || more.length === 0) {
        found.set(those[0], tail);
      } else {
        those.filter(path => path === tail).forEach(path => found.set(path, tail));
        open.push(...more);
      }
    }
  }
  return found;
}
