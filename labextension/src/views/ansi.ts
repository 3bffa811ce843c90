/** Text with its style; the colour is the name of one of eight. */
export interface Span {
  text: string;
  colour?: string;
  bold?: boolean;
  faint?: boolean;
}

const COLOURS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];

/* eslint-disable no-control-regex */
/** A colour, any other sequence that a terminal would obey, or a character that draws nothing. */
const CONTROL =
  /\u001b\[([\d;]*)m|\u001b\[[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[@-Z\\-_]|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u0080-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

interface Style {
  colour?: string;
  bold?: boolean;
  faint?: boolean;
}

/** A line as spans: eight colours, bold and faint are kept, whatever else a terminal would obey is left out. */
export function spansOf(line: string, before: Style = {}): { spans: Span[]; style: Style } {
  const spans: Span[] = [];
  let style = before;
  let at = 0;
  const add = (text: string) => {
    if (text) {
      spans.push({ text, ...style });
    }
  };
  for (const match of line.matchAll(CONTROL)) {
    add(line.slice(at, match.index));
    at = match.index! + match[0].length;
    if (match[1] !== undefined) {
      style = styled(style, match[1]);
    }
  }
  add(line.slice(at));
  return { spans, style };
}

function styled(style: Style, codes: string): Style {
  let next = style;
  const numbers = codes.split(';').map(Number);
  for (let i = 0; i < numbers.length; i++) {
    const code = numbers[i];
    if (code === 0) {
      next = {};
    } else if (code === 1) {
      next = { ...next, bold: true };
    } else if (code === 2) {
      next = { ...next, faint: true };
    } else if (code === 22) {
      next = { ...next, bold: undefined, faint: undefined };
    } else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) {
      next = { ...next, colour: COLOURS[code % 10] };
    } else if (code === 39) {
      next = { ...next, colour: undefined };
    } else if (code === 38 || code === 48) {
      i += numbers[i + 1] === 5 ? 2 : 4; // a colour out of 256, or of three numbers
    }
  }
  return next;
}

/** Where a carriage return begins the line anew, only what was written last is there. */
export function folded(line: string): string {
  if (!line.includes('\r')) {
    return line;
  }
  const parts = line.split('\r');
  while (parts.length > 1 && parts[parts.length - 1] === '') {
    parts.pop(); // the next state is not written yet
  }
  return parts[parts.length - 1];
}
