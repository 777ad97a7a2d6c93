// What mdBook's theme lacks for keyboards and screen readers: what scrolls can be reached, and pages say their language.
"use strict";
for (const region of document.querySelectorAll("pre > code, .table-wrapper")) {
  region.tabIndex = 0;
}
const toggle = document.getElementById("mdbook-sidebar-toggle");
if (toggle) {
  toggle.setAttribute("role", "button");
}
if (location.pathname.endsWith("hindi-guide.html")) {
  document.querySelector("main").lang = "hi";
}
