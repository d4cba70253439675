/**
 * Answers of EC2 in the form the vendor's documents and clients have them, written apart from
 * the emulator so that both are held to the same wire. Ids are made up.
 */

/** An error document. */
export function errorXml(code: string, message: string): string {
  const error = `<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors>${error}</Errors><RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>`;
}

/** DescribeInstances: one running instance, and one terminated that kept almost nothing. */
export const LISTING_XML = `<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
  <requestId>8f7724cf-496f-496e-8fe3-example</requestId>
  <reservationSet>
    <item>
      <reservationId>r-0aaaaaaaaaaaaaaa0</reservationId>
      <ownerId>123456789012</ownerId>
      <groupSet/>
      <instancesSet>
        <item>
          <instanceId>i-0aaaaaaaaaaaaaaa1</instanceId>
          <imageId>ami-0aaaaaaaaaaaaaaa3</imageId>
          <instanceState><code>16</code><name>running</name></instanceState>
          <instanceType>p5.48xlarge</instanceType>
          <launchTime>2026-11-23T20:28:05.396Z</launchTime>
          <placement><availabilityZone>us-east-1a</availabilityZone></placement>
          <tagSet>
            <item><key>flotilla:node</key><value>no_1</value></item>
            <item><key>empty</key><value/></item>
          </tagSet>
        </item>
        <item>
          <instanceId>i-0aaaaaaaaaaaaaaa2</instanceId>
          <instanceState><code>48</code><name>terminated</name></instanceState>
          <stateReason>
            <code>Server.SpotInstanceTermination</code>
            <message>Server.SpotInstanceTermination: Spot instance termination</message>
          </stateReason>
          <instanceType>p5.48xlarge</instanceType>
          <launchTime>2026-11-23T20:28:06.000Z</launchTime>
        </item>
      </instancesSet>
    </item>
  </reservationSet>
</DescribeInstancesResponse>`;
