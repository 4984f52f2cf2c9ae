// A network of its own: job and function app reach storage by private endpoints, and the internet not at all.
param location string
param tags object
param name string
param addressSpace string

var allowed = ['AzureActiveDirectory', 'AzureContainerRegistry', 'MicrosoftContainerRegistry', 'AzureFrontDoor.FirstParty', 'AzureMonitor', 'AzureResourceManager', 'Storage']
var zones = ['blob', 'queue', 'table']

resource egress 'Microsoft.Network/networkSecurityGroups@2023-11-01' = {
  name: '${name}-egress'
  location: location
  tags: tags
}

resource rule 'Microsoft.Network/networkSecurityGroups/securityRules@2023-11-01' = [for (service, index) in allowed: {
  parent: egress
  name: 'to-${service}'
  properties: {
    priority: 200 + index
    direction: 'Outbound'
    access: 'Allow'
    protocol: 'Tcp'
    sourceAddressPrefix: '*'
    sourcePortRange: '*'
    destinationAddressPrefix: service
    destinationPortRange: '443'
  }
}]

resource closed 'Microsoft.Network/networkSecurityGroups/securityRules@2023-11-01' = {
  parent: egress
  name: 'to-internet'
  dependsOn: [rule]
  properties: {
    priority: 4000
    direction: 'Outbound'
    access: 'Deny'
    protocol: '*'
    sourceAddressPrefix: '*'
    sourcePortRange: '*'
    destinationAddressPrefix: 'Internet'
    destinationPortRange: '*'
  }
}

resource network 'Microsoft.Network/virtualNetworks@2023-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressSpace] }
    subnets: [
      {
        name: 'jobs' // a consumption GPU takes an address for each execution
        properties: {
          addressPrefix: cidrSubnet(addressSpace, 23, 0)
          networkSecurityGroup: { id: egress.id }
          delegations: [{ name: 'environments', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'functions'
        properties: {
          addressPrefix: cidrSubnet(addressSpace, 24, 2)
          networkSecurityGroup: { id: egress.id }
          delegations: [{ name: 'functions', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressSpace, 24, 3)
          privateEndpointNetworkPolicies: 'Disabled'
        }
      }
    ]
  }
}

resource zone 'Microsoft.Network/privateDnsZones@2020-06-01' = [for service in zones: {
  name: 'privatelink.${service}.${environment().suffixes.storage}'
  location: 'global'
  tags: tags
}]

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = [for (service, index) in zones: {
  parent: zone[index]
  name: name
  location: 'global'
  properties: {
    registrationEnabled: false
    virtualNetwork: { id: network.id }
  }
}]
