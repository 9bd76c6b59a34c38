// The root: makes the one connection monitor and the one list of uploads, and hands them to the page.

import { App } from "./elements/app.ts";
import { Live } from "./live.ts";
import { Uploads } from "./upload.ts";

const live = new Live();
const app = new App();
app.live = live;
app.uploads = new Uploads();
document.body.prepend(app);
live.start();
