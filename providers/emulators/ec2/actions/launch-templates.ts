/**
 * Launch templates: what CreateFleet launches. One version each, as nobody here makes more.
 *
 * Names are unique in a region. A client token gives the same template again.
 */
import { Ec2Error } from "../ec2-error.ts";
import { hex } from "../fleet.ts";
import { pageOf } from "../paging.ts";
import { listOf, memberOf, required, type QueryParams } from "../query.ts";
import type { ActionHandler, LaunchTemplate, World } from "../world.ts";
import type { XmlValue } from "../xml.ts";
import { applyFilters, type FilterTexts } from "./filters.ts";
import { OWNER_ID } from "./instance-xml.ts";
import { templateSpecOf } from "./launch-spec.ts";
import { dryRun } from "./run-instances.ts";

const FILTERS = new Map<string, FilterTexts<LaunchTemplate>>([
  ["launch-template-name", ({ name }) => [name]],
]);

export const createLaunchTemplate: ActionHandler = (world, { region, params }) => {
  const name = required(params, "LaunchTemplateName");
  if (!/^[A-Za-z0-9().\-/_]{3,128}$/.test(name)) {
    const message = `Launch template names are 3 to 128 letters, digits and ().-/_: ${name}`;
    throw new Ec2Error("InvalidLaunchTemplateName.MalformedException", message);
  }
  const data = memberOf(params, "LaunchTemplateData");
  templateSpecOf(data);
  const clientToken = params.get("ClientToken");
  const known = findTemplate(world, region, { name });
  if (known !== undefined) {
    if (clientToken !== undefined && known.clientToken === clientToken) return answerOf(known);
    throw new Ec2Error(
      "InvalidLaunchTemplateName.AlreadyExistsException",
      "Launch template name already in use.",
    );
  }
  if (params.get("DryRun") === "true") throw dryRun();
  const template: LaunchTemplate = {
    templateId: `lt-0${hex(world.rng, 16)}`,
    sequence: world.templates.length,
    name,
    region,
    data,
    createdAtMs: world.clock.nowMs(),
    ...(clientToken === undefined ? {} : { clientToken }),
  };
  world.templates.push(template);
  return answerOf(template);
};

export const describeLaunchTemplates: ActionHandler = (world, { region, params }) => {
  const names = listOf(params, "LaunchTemplateName");
  const ids = listOf(params, "LaunchTemplateId");
  for (const name of names) wantTemplate(world, region, { name });
  for (const templateId of ids) wantTemplate(world, region, { templateId });
  const listed = world.templates.filter(
    (one) =>
      one.region === region &&
      (names.length === 0 || names.includes(one.name)) &&
      (ids.length === 0 || ids.includes(one.templateId)),
  );
  const passing = applyFilters(listed, params, (name) => FILTERS.get(name));
  const page = pageOf(passing, params, ({ sequence }) => sequence);
  return { launchTemplates: page.items.map(templateXml), nextToken: page.nextToken };
};

export const deleteLaunchTemplate: ActionHandler = (world, { region, params }) => {
  const template = wantTemplate(world, region, referenceOf(params));
  if (params.get("DryRun") === "true") throw dryRun();
  world.templates.splice(world.templates.indexOf(template), 1);
  return answerOf(template);
};

/** By name or id. */
export interface TemplateReference {
  readonly name?: string | undefined;
  readonly templateId?: string | undefined;
}

/** The reference in `LaunchTemplateName` or `LaunchTemplateId`. */
export function referenceOf(params: QueryParams): TemplateReference {
  return { name: params.get("LaunchTemplateName"), templateId: params.get("LaunchTemplateId") };
}

/** @throws Ec2Error `InvalidLaunchTemplateName.NotFoundException`, `...Id.NotFound` */
export function wantTemplate(
  world: World,
  region: string,
  reference: TemplateReference,
): LaunchTemplate {
  const template = findTemplate(world, region, reference);
  if (template !== undefined) return template;
  if (reference.name !== undefined) {
    throw new Ec2Error(
      "InvalidLaunchTemplateName.NotFoundException",
      `At least one of the launch templates specified in the request does not exist.`,
    );
  }
  throw new Ec2Error(
    "InvalidLaunchTemplateId.NotFound",
    `The specified launch template, with template ID ${reference.templateId ?? "''"}, ` +
      "does not exist.",
  );
}

function findTemplate(
  world: World,
  region: string,
  { name, templateId }: TemplateReference,
): LaunchTemplate | undefined {
  return world.templates.find(
    (one) =>
      one.region === region &&
      (name === undefined ? one.templateId === templateId : one.name === name),
  );
}

function answerOf(template: LaunchTemplate): Readonly<Record<string, XmlValue>> {
  return { launchTemplate: templateXml(template) };
}

function templateXml({ templateId, name, createdAtMs }: LaunchTemplate): XmlValue {
  return {
    launchTemplateId: templateId,
    launchTemplateName: name,
    createTime: new Date(createdAtMs).toISOString(),
    createdBy: `arn:aws:iam::${OWNER_ID}:root`,
    defaultVersionNumber: 1,
    latestVersionNumber: 1,
  };
}
