import './base.css';
import './views.css';
import './page.css';
import './output.css';
