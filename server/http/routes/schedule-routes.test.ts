import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeClient, refused, type FakeClient } from "../fake-client.ts";
import { scheduleInfoSchema, scheduleListSchema } from "../schedule-schemas.ts";

let client: FakeClient;

beforeEach(async () => {
  client = await createFakeClient();
});
afterEach(async () => {
  await client.app.close();
});

const SCHEDULE = "/v1/apps/demo/functions/report/schedule";

test("schedules are listed with what comes, what was and what was missed", async () => {
  const { schedules } = scheduleListSchema.parse(
    (await client.send({ url: "/v1/schedules" })).json(),
  );
  expect(schedules).toMatchObject([{ app: "demo", state: "active", missedCount: 1 }]);
  const none = await client.send({ url: "/v1/schedules?app=other" });
  expect(scheduleListSchema.parse(none.json()).schedules).toEqual([]);
});

test("a schedule is paused and resumed, also twice", async () => {
  for (const [order, state] of [
    ["pause", "paused"],
    ["resume", "active"],
  ] as const) {
    for (let times = 0; times < 2; times += 1) {
      const answer = await client.send({ method: "POST", url: `${SCHEDULE}/${order}` });
      expect(scheduleInfoSchema.parse(answer.json()).state).toBe(state);
    }
  }
});

test("what has no schedule is not found, and what is no name is refused", async () => {
  const post = async (url: string) => client.send({ method: "POST", url });
  refused(await post("/v1/apps/demo/functions/square/schedule/pause"), 404, "not_found");
  refused(await post("/v1/apps/demo/functions/9/schedule/resume"), 400, "invalid_request");
  refused(await client.send({ url: "/v1/schedules?ap=demo" }), 400, "invalid_request");
});

test("the routes are in the API's document", async () => {
  const { paths } = (await client.send({ url: "/openapi.json" })).json<{
    paths: Readonly<Record<string, Readonly<Record<string, { operationId: string }>>>>;
  }>();
  expect(paths["/v1/schedules"]?.["get"]?.operationId).toBe("listSchedules");
  const named = "/v1/apps/{app}/functions/{function}/schedule";
  expect(paths[`${named}/pause`]?.["post"]?.operationId).toBe("pauseSchedule");
  expect(paths[`${named}/resume`]?.["post"]?.operationId).toBe("resumeSchedule");
});
