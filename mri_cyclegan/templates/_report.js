document.documentElement.classList.add("js");

for (const figure of document.querySelectorAll(".case")) {
  const [slider, output, strip] = ["input", "output", ".strip"].map((name) => figure.querySelector(name));
  const [back, forward] = figure.querySelectorAll("button");
  const [picture, second] = strip.querySelectorAll("img");
  const { numbers, slices } = JSON.parse(figure.querySelector("script").textContent);
  // The middle slice stands in the page already, for those without scripts and for print.
  slices[slider.defaultValue] = picture.src;

  const show = (index) => {
    index = Math.min(Math.max(index, 0), slices.length - 1);
    slider.value = index;
    picture.src = slices[index];
    if (second) second.src = slices[index];
    output.textContent = `slice ${numbers[index]} (${index + 1} of ${slices.length})`;
    slider.setAttribute("aria-valuetext", output.textContent);
    // Not disabled: that would take the keyboard's focus away.
    back.ariaDisabled = index === 0;
    forward.ariaDisabled = index === slices.length - 1;
  };
  const step = (by) => show(Number(slider.value) + by);

  slider.addEventListener("input", () => step(0));
  back.addEventListener("click", () => step(-1));
  forward.addEventListener("click", () => step(1));
  strip.addEventListener("click", (event) => {
    const { left, width } = strip.getBoundingClientRect();
    step(event.clientX < left + width / 2 ? -1 : 1);
  });
  show(Number(slider.defaultValue));
}

// Paper has no way to open what is closed.
const closed = () => document.querySelectorAll("details:not([open])");
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...closed()];
  for (const one of opened) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of opened) one.open = false;
});
