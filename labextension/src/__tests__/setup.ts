// What JupyterLab's packages touch when they are loaded, and jsdom does not have.
import { vi } from 'vitest';

class Absent extends Event {}

vi.stubGlobal('DragEvent', Absent);
vi.stubGlobal('ClipboardEvent', Absent);
vi.stubGlobal('requestIdleCallback', (work: () => void) => setTimeout(work, 0));
vi.stubGlobal('cancelIdleCallback', clearTimeout);
vi.stubGlobal('matchMedia', () => ({
  matches: false,
  addEventListener: () => undefined,
  removeEventListener: () => undefined
}));
