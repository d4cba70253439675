/** A world that is flown in a moment, for tests. */
export const SCENARIO = `
name: small
description: A test.
hours: 0.5
functions:
  - id: chat
    gpu: [H100]
    serviceSeconds: 10
    coldSeconds: 5
    demand: { meanPerSecond: 0.2 }
market:
  machines:
    - { cloud: aws, region: us-east-1, instanceType: p5, purchase: on-demand, gpu: H100, usdPerGpuHour: 3 }
`;
