/**
 * The pages in a real browser: nothing is fetched, nothing fails, charts have a size, and no
 * part is wider than the window, on a desk, on a phone and on paper.
 *
 * Needs Chromium (`CHROMIUM_PATH`, or on the PATH); says so loudly where there is none.
 */
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compareResults } from "./compare.ts";
import { htmlReport } from "./html/report.ts";
import { paretoPage } from "./pareto.ts";
import { madeUpStudy } from "./test-candidates.ts";
import { madeUpResults } from "./test-results.ts";

const executablePath = findChromium();
if (executablePath === undefined) {
  process.stderr.write(
    "\nSKIPPED: pages are not checked in a browser, for there is no chromium on the PATH. " +
      "Install it (Debian: apt-get install chromium) or set CHROMIUM_PATH.\n\n",
  );
}

const PAGES = {
  report: htmlReport(compareResults({ results: madeUpResults(), commit: "0a1b2c3" })),
  pareto: paretoPage(madeUpStudy()),
};
const PAGE_NAMES = ["report", "pareto"] as const;

describe.skipIf(executablePath === undefined)("a page in a browser", () => {
  let browser: Browser;
  let dir: string;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "flotilla-report-"));
    for (const name of PAGE_NAMES) writeFileSync(join(dir, `${name}.html`), PAGES[name]);
    browser = await chromium.launch({
      ...(executablePath === undefined ? {} : { executablePath }),
      // Chromium's own sandbox needs rights that containers of CI lack; the page is ours.
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    });
  });

  afterAll(async () => {
    await browser.close();
    rmSync(dir, { recursive: true, force: true });
  });

  /** Opens a page and keeps what it complains about and what it asks for. */
  async function open(
    name: (typeof PAGE_NAMES)[number],
    options: { readonly width: number; readonly isDark?: boolean; readonly hasScript?: boolean },
  ) {
    const context = await browser.newContext({
      viewport: { width: options.width, height: 900 },
      colorScheme: options.isDark === true ? "dark" : "light",
      javaScriptEnabled: options.hasScript ?? true,
      offline: true,
    });
    const page = await context.newPage();
    const complaints: string[] = [];
    const requests: string[] = [];
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) => requests.push(request.url()));
    const url = pathToFileURL(join(dir, `${name}.html`)).href;
    await page.goto(url);
    return { page, complaints, requests, url, close: () => context.close() };
  }

  for (const name of PAGE_NAMES) {
    for (const width of [1280, 400]) {
      it(`fits ${width} pixels, fetches nothing and complains of nothing (${name})`, async () => {
        const { page, complaints, requests, url, close } = await open(name, { width });
        expect(requests).toEqual([url]);
        expect(complaints).toEqual([]);
        expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
        const sizes = await chartSizes(page);
        expect(sizes.length).toBeGreaterThanOrEqual(name === "report" ? 8 : 1);
        for (const { width: chartWidth, height, label } of sizes) {
          expect(chartWidth, label).toBeGreaterThan(width / 2);
          expect(height, label).toBeGreaterThan(50);
          expect(label).not.toBe("");
        }
        await close();
      });
    }
  }

  it("is dark where people want it dark, and light on paper even then", async () => {
    const { page, close } = await open("report", { width: 1280, isDark: true });
    expect(luminanceOf(await colorOf(page, "backgroundColor"))).toBeLessThan(0.1);
    expect(luminanceOf(await colorOf(page, "color"))).toBeGreaterThan(0.7);
    await page.emulateMedia({ media: "print" });
    expect(luminanceOf(await colorOf(page, "backgroundColor"))).toBe(1);
    expect(luminanceOf(await colorOf(page, "color"))).toBeLessThan(0.1);
    await close();
  });

  it("has text that contrasts with its ground by at least 4.5 to 1, light and dark", async () => {
    for (const isDark of [false, true]) {
      const { page, close } = await open("report", { width: 1280, isDark });
      const panel = luminanceOf(await colorOf(page, "backgroundColor", "section"));
      for (const selector of ["h2", ".soft", ".tick", ".card dt", "td", ".range", ".legend li"]) {
        const text = luminanceOf(await colorOf(page, "color", selector));
        const [dark = 0, light = 0] = [panel, text].toSorted((left, right) => left - right);
        expect((light + 0.05) / (dark + 0.05), selector).toBeGreaterThan(4.5);
      }
      await close();
    }
  });

  it("prints on a few sheets", async () => {
    const { page, close } = await open("report", { width: 1280 });
    const pdf = await page.pdf({ format: "A4" });
    const sheetCount = pdf.toString("latin1").match(/\/Type\s*\/Page\b/g)?.length ?? 0;
    expect(sheetCount).toBeGreaterThan(3);
    expect(sheetCount).toBeLessThan(12);
    await close();
  });

  it("shows the figures of a moment under the pointer", async () => {
    const { page, close } = await open("report", { width: 1280 });
    const tip = page.locator("#tip");
    expect(await tip.isVisible()).toBe(false);
    await page.locator(".plot svg").first().hover();
    expect(await tip.textContent()).toMatch(/^day [78], [\d.]+ h\n[\d,]+ {2}total, USD\/h\n/);
    await page.locator("h1").hover();
    expect(await tip.isVisible()).toBe(false);
    await close();
  });

  it("has the same figures as titles where scripts are off", async () => {
    const { page, complaints, close } = await open("report", { width: 1280, hasScript: false });
    expect(complaints).toEqual([]);
    expect(await page.locator(".hover title").first().textContent()).toContain("total, USD/h");
    await close();
  });

  it("keeps a script in a world's name from running", async () => {
    const [run] = madeUpResults({ bucketCount: 10 });
    const world = `<script>document.title = "taken"</script>`;
    const results = run === undefined ? [] : [{ ...run, world }];
    writeFileSync(join(dir, "nasty.html"), htmlReport(compareResults({ results })));
    const page = await browser.newPage();
    await page.goto(pathToFileURL(join(dir, "nasty.html")).href);
    expect(await page.title()).toBe(`Simulation of ${world}`);
    await page.close();
  });
});

function findChromium(): string | undefined {
  const named = process.env["CHROMIUM_PATH"];
  const dirs = (process.env["PATH"] ?? "").split(delimiter);
  const found = dirs.flatMap((dir) =>
    ["chromium", "chromium-browser", "google-chrome"].map((program) => join(dir, program)),
  );
  return [...(named === undefined ? [] : [named]), ...found].find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error) return false;
    throw error;
  }
}

/** Size and label of each drawing. */
async function chartSizes(page: Page) {
  return await Promise.all(
    (await page.locator("svg[role=img]").all()).map(async (chart) => ({
      width: (await chart.boundingBox())?.width ?? 0,
      height: (await chart.boundingBox())?.height ?? 0,
      label: (await chart.getAttribute("aria-label")) ?? "",
    })),
  );
}

async function colorOf(page: Page, property: string, selector = "body"): Promise<string> {
  const script = `getComputedStyle(document.querySelector(${JSON.stringify(selector)})).${property}`;
  return String(await page.evaluate(script));
}

/** Relative luminance of an `rgb(...)` colour. Source: WCAG 2.2, relative luminance. */
function luminanceOf(color: string): number {
  const [red = 0, green = 0, blue = 0] = (color.match(/\d+/g) ?? []).map((channel) => {
    const share = Number(channel) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
