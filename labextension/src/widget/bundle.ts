// What the second bundle is made of: the widget with its style sheets.
import '../../style/views.css';
import '../../style/output.css';
import '../../style/widget.css';

export { default } from './index';
